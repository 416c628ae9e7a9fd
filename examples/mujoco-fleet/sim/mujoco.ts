/** MuJoCo, as far as the arm needs it: the bindings leave every array untyped, and what is typed here is checked once. */
import loadMujoco, { type MainModule, type MjData, type MjModel } from 'mujoco-js';

/** The only file of the module's own file system; a model is parsed from it and kept in memory. */
const MODEL_PATH = '/arm.xml';

let loading: Promise<MainModule> | undefined;

/** A model and its state. Memory lies in the WASM heap, so that it has to be given back with {@link close}. */
export class Simulation {
  private constructor(
    private readonly mujoco: MainModule,
    private readonly model: MjModel,
    private readonly data: MjData,
  ) {}

  /** @param xml MJCF */
  static async compile(xml: string): Promise<Simulation> {
    loading ??= loadMujoco();
    const mujoco = await loading;
    mujoco.FS.writeFile(MODEL_PATH, xml);
    const model = mujoco.MjModel.loadFromXML(MODEL_PATH);
    if (model === null) throw new TypeError('MuJoCo rejects the model');
    return new Simulation(mujoco, model, new mujoco.MjData(model));
  }

  // Views are taken anew each time: they are lost when the heap grows.

  get jointPositions(): Float64Array {
    return this.data.qpos as Float64Array;
  }

  get jointVelocities(): Float64Array {
    return this.data.qvel as Float64Array;
  }

  get controls(): Float64Array {
    return this.data.ctrl as Float64Array;
  }

  /** x, y, z of each site, metres. */
  get sitePositions(): Float64Array {
    return this.data.site_xpos as Float64Array;
  }

  /** Kilograms, the world's first; may be written. */
  get bodyMasses(): Float64Array {
    return this.model.body_mass as Float64Array;
  }

  reset(): void {
    this.mujoco.mj_resetData(this.model, this.data);
  }

  /** Computes positions from the state, without moving on. */
  forward(): void {
    this.mujoco.mj_forward(this.model, this.data);
  }

  step(): void {
    this.mujoco.mj_step(this.model, this.data);
  }

  close(): void {
    this.data.delete();
    this.model.delete();
  }
}
