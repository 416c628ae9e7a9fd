/** Adam (Kingma and Ba 2015, arXiv 1412.6980), with its authors' constants. */

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

export class Adam {
  private readonly first: readonly Float32Array[];
  private readonly second: readonly Float32Array[];
  private steps = 0;

  constructor(
    private readonly parameters: readonly Float32Array[],
    private readonly gradients: readonly Float32Array[],
  ) {
    this.first = parameters.map(({ length }) => new Float32Array(length));
    this.second = parameters.map(({ length }) => new Float32Array(length));
  }

  /** One step against the gradients of `examples` examples, which are then zero again. */
  step(learningRate: number, examples: number): void {
    this.steps += 1;
    const rate = (learningRate * Math.sqrt(1 - BETA2 ** this.steps)) / (1 - BETA1 ** this.steps);
    for (const [i, parameter] of this.parameters.entries()) {
      const gradient = this.gradients[i] as Float32Array;
      const m = this.first[i] as Float32Array;
      const v = this.second[i] as Float32Array;
      for (let k = 0; k < parameter.length; k += 1) {
        const g = (gradient[k] as number) / examples;
        m[k] = BETA1 * (m[k] as number) + (1 - BETA1) * g;
        v[k] = BETA2 * (v[k] as number) + (1 - BETA2) * g * g;
        parameter[k] =
          (parameter[k] as number) - (rate * (m[k] as number)) / (Math.sqrt(v[k] as number) + EPSILON);
      }
      gradient.fill(0);
    }
  }
}
