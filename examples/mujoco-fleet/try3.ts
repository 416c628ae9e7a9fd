import { mkdtemp } from 'node:fs/promises'; import { tmpdir } from 'node:os'; import { join } from 'node:path';
import { pretrainedPolicy, firstRelease } from './policy/pretrained.js'; import { trainingSites, unseenSites, pilotSite } from './sim/sites.js';
import { LocalTraining } from './fleet/local-training.js'; import { createFederation, type FederatedArm } from './fleet/arms.js'; import { writeLora, readLora } from './policy/adapter-files.js'; import { evaluatePolicies, policyOf, ProvingGround } from './evaluate.js'; import type { Attack } from './fleet/attacks.js'; import { SIGN_FLIP, SUBTLE_MISS } from './fleet/attacks.js';
const dir=await mkdtemp(join(tmpdir(),'mjf-')); const base=join(dir,'base'); const net=await pretrainedPolicy(base); const tr=trainingSites(8);
const ground=new ProvingGround({training:tr,unseen:unseenSites(16)}); const local=new LocalTraining(net);
const ROUNDS=+(process.argv[3]??8); const attack: Attack|undefined = process.argv[4]==='flip'?SIGN_FLIP:process.argv[4]==='miss'?SUBTLE_MISS:undefined;
const seeds=Array.from({length:+(process.argv[5]??320)},(_,i)=>i);
for(const arm of (process.argv[2]??'plain FedAvg;encrypted 8-bit;encrypted 4-bit, keep 0.1;encrypted with DP').split(';') as FederatedArm[]) {
  const ad=join(dir,arm.replace(/\W/g,'_')); let t=performance.now(); const fed=await createFederation(arm,{directory:join(ad,'fed'),robots:8}); console.log(arm,'create',(performance.now()-t)|0);
  let release=join(ad,'release-0'); await writeLora(release,firstRelease(net),base);
  for(let r=1;r<=ROUNDS;r++){ t=performance.now(); const {lora}=await readLora(release); const trained=[]; for(const [i,s] of tr.entries()){const d=join(ad,`r${r}-${i}`); await writeLora(d,await local.train({site:s,...(attack&&i===0&&{attack})},lora,r),base); trained.push(d);} const pilot=join(ad,`r${r}-p`); await writeLora(pilot,await local.train({site:pilotSite()},lora,r),base); const t1=performance.now(); const out=join(ad,`release-${r}`); const facts=await fed.average({round:r,release,trained,pilot,out}); const t2=performance.now();
    const eps=(await evaluatePolicies(ground,{candidate:await policyOf(out),baseline:await policyOf(release)},seeds)).filter(e=>e.adapter==='candidate'); const m=(f:(e:typeof eps[0])=>boolean,g:(e:typeof eps[0])=>number)=>{const s=eps.filter(f);return s.reduce((a,e)=>a+g(e),0)/s.length;};
    console.log(r,'train',m(e=>!e.outOfDistribution,e=>+e.success).toFixed(3),'unseen',m(e=>e.outOfDistribution,e=>+e.success).toFixed(3),'kl',m(()=>true,e=>e.klDivergence!).toFixed(3),'viol',m(()=>true,e=>e.constraintViolations!).toFixed(2),'ms',(t1-t)|0,(t2-t1)|0,(performance.now()-t2)|0, 'bytes',facts.updateBytes,'clip',facts.clip?.toFixed(3),'cf',facts.clipFactors?.map(x=>x.toFixed(2)).join(','),'sat',facts.saturatedValues,'eps',facts.epsilonSpent?.toFixed(1));
    release=out; }
}
ground.close();
