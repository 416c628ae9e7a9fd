import { Environment, OBSERVATION_SIZE, ACTION_SIZE } from './sim/environment.js';
import { NOMINAL, trainingSites, unseenSites, type Site } from './sim/sites.js';
import { createNetwork, forwardPass, type Network } from './policy/network.js';
import { createLora, mergeLora, copyLora, tensorsOf, parameterCount} from './policy/lora.js';
import { trainableLora, trainableNetwork } from './policy/backward.js';
import { demonstrate, type Demonstrations } from './policy/demonstrations.js';
import { imitate } from './policy/imitation.js';
const obs=new Float32Array(OBSERVATION_SIZE);
async function evalAt(site: Site, net: Network, N=60){ const env=await Environment.create(site); const f=forwardPass(net); let r=0,p=0,v=0; for(let s=0;s<N;s++){env.reset(1e6+s); while(!env.done){env.observe(obs); env.act(f(obs));} const o=env.outcome(); r+=+o.reached;p+=+o.placed;v+=o.constraintViolations;} env.close(); return {r:r/N,p:p/N,v:v/N}; }
async function over(sites: Site[], net: Network, N=20){ const all=[]; for(const s of sites) all.push((await evalAt(s,net,N)).p); return {mean: all.reduce((a,b)=>a+b)/all.length, all: all.map(x=>x.toFixed(2)).join(' ')}; }
const DEC=+(process.argv[7]??0);const H=+(process.argv[2]??48), RANK=+(process.argv[3]??4), LR=+(process.argv[4]??3e-3), STEPS=+(process.argv[5]??150), ROUNDS=+(process.argv[6]??6);
let t0=performance.now();
const nomData=await demonstrate({site:NOMINAL,episodes:300,seed:1});
console.log('examples',nomData.observations.length,(performance.now()-t0)|0);
t0=performance.now();
const net=createNetwork([OBSERVATION_SIZE,H,H,ACTION_SIZE],7);
const loss=imitate(trainableNetwork(net),nomData,{steps:4000,batchSize:32,learningRate:3e-3,seed:3});
console.log('pretrain loss',loss,(performance.now()-t0)|0,'ms', await evalAt(NOMINAL,net,200));
const tr=trainingSites(8), un=unseenSites(16);
console.log('base training', await over(tr,net)); console.log('base unseen', await over(un,net));
const lora0=createLora(net,RANK,2*RANK,11);
console.log('params',parameterCount(lora0));
// pooled
const cat=(ds:Demonstrations[]):Demonstrations=>({observations:ds.flatMap(d=>[...d.observations]),actions:ds.flatMap(d=>[...d.actions])});
const data: Demonstrations[][]=[]; t0=performance.now();
for(let r=0;r<ROUNDS;r++){ data.push([]); for(const [i,s] of tr.entries()) data[r]!.push(await demonstrate({site:s,episodes:12,seed:100*r+i})); }
console.log('collect',(performance.now()-t0)|0, data[0]!.map(d=>d.observations.length).join(' '));
{ const l=copyLora(lora0); const lo=imitate(trainableLora(net,l),cat(data.flat()),{steps:STEPS*ROUNDS*2,batchSize:32,learningRate:LR,seed:5}); const m=mergeLora(net,l); console.log('pooled',lo, await over(tr,m), await over(un,m)); }
// local
const locals=tr.map(()=>copyLora(lora0)); let fed=copyLora(lora0);
for(let r=0;r<ROUNDS;r++){
  t0=performance.now();
  for(const [i] of tr.entries()) imitate(trainableLora(net,locals[i]!),data[r]![i]!,{steps:STEPS,batchSize:32,learningRate:LR*(1-DEC*r/ROUNDS),seed:r*50+i});
  const trained=tr.map((_,i)=>{const l=copyLora(fed); imitate(trainableLora(net,l),data[r]![i]!,{steps:STEPS,batchSize:32,learningRate:LR*(1-DEC*r/ROUNDS),seed:r*50+i}); return l;});
  const next=copyLora(fed); const ft=tensorsOf(fed); let norm=0; tensorsOf(next).forEach((t,k)=>{for(let j=0;j<t.length;j++){ let s=0; for(const l of trained) s+=tensorsOf(l)[k]![j]!; t[j]=s/trained.length; norm+=(t[j]!-ft[k]![j]!)**2; }}); const dn=Math.sqrt(tensorsOf(trained[0]!).reduce((a,t,k)=>a+t.reduce((b,x,j)=>b+(x-ft[k]![j]!)**2,0),0));
  fed=next; const tt=(performance.now()-t0)|0;
  const m=mergeLora(net,fed);
  const lu=[]; const lt=[]; for(const [i,l] of locals.entries()){const ml=mergeLora(net,l); lu.push((await over(un,ml,5)).mean); lt.push((await evalAt(tr[i]!,ml,20)).p);}
  const mean=(a:number[])=>(a.reduce((x,y)=>x+y)/a.length).toFixed(3);
  console.log('round',r+1,'fed train',(await over(tr,m)).mean.toFixed(3),'unseen',(await over(un,m)).mean.toFixed(3),'| local own',mean(lt),'unseen',mean(lu),'avgdelta',Math.sqrt(norm).toFixed(3),'delta',dn.toFixed(3),tt,'ms');
}
console.log(await over(tr,mergeLora(net,fed)),await over(un,mergeLora(net,fed)));
