/** placeholder */
import { runSoak } from './soak/run.js';
import { DEFAULT_SOAK } from './soak/options.js';
const result = await runSoak({ ...DEFAULT_SOAK, robots: Number(process.argv[2] ?? 40), values: Number(process.argv[3] ?? 640), ...(process.argv[4]==='js' && {store:'jetstream' as const, servers:3, restartNats: true}), killsReceiving: Number(process.env.KILLS ?? 2), ...(process.env.ROUNDS && {rounds: Number(process.env.ROUNDS)}), progress: (l) => console.error(new Date().toISOString(), l) });
console.log(JSON.stringify(result, (k, v) => k === 'latenciesMs' ? v.length : v, 1));
