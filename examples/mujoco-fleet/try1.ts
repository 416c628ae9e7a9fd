import { Environment } from './sim/environment.js';
import { expertAction } from './sim/expert.js';
import { NOMINAL, trainingSites, unseenSites } from './sim/sites.js';
for (const site of [NOMINAL, ...trainingSites(8), ...unseenSites(6)]) {
  const env = await Environment.create(site);
  let [r,p,v,t]=[0,0,0,0];
  const N=100; const t0=performance.now();
  for (let s=0;s<N;s++){ env.reset(s); while(!env.done) env.act(expertAction(env)); const o=env.outcome(); r+=+o.reached;p+=+o.placed;v+=o.constraintViolations;t+=o.seconds; }
  console.log(site.name, r,p,v,(t/N).toFixed(2), ((performance.now()-t0)/N).toFixed(2)+'ms');
  env.close();
}
