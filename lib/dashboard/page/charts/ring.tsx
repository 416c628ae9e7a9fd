/** How many have sent, of how many who may, and where the quorum lies. */
import type { QuorumRing } from '../../model/round-progress.js';

const RADIUS = 54;
const CENTRE = 66;
const LENGTH = 2 * Math.PI * RADIUS;

export function Ring({ ring }: { readonly ring: QuorumRing }) {
  const { received, quorum, eligible, receivedPart, quorumPart, isReached } = ring;
  const missing = quorum - received;
  const label = `${received} of ${eligible} have sent; the quorum of ${quorum} is ${isReached ? 'reached' : 'not reached'}`;
  return (
    <figure class="ring">
      <svg viewBox={`0 0 ${2 * CENTRE} ${2 * CENTRE}`} role="img" aria-label={label}>
        <circle class="ring-track" cx={CENTRE} cy={CENTRE} r={RADIUS} />
        {received > 0 && (
          <circle
            class={isReached ? 'ring-part reached' : 'ring-part'}
            cx={CENTRE}
            cy={CENTRE}
            r={RADIUS}
            stroke-dasharray={`${receivedPart * LENGTH} ${LENGTH}`}
            transform={`rotate(-90 ${CENTRE} ${CENTRE})`}
          />
        )}
        <line
          class="ring-quorum"
          x1={CENTRE}
          x2={CENTRE}
          y1={CENTRE - RADIUS - 10}
          y2={CENTRE - RADIUS + 10}
          transform={`rotate(${quorumPart * 360} ${CENTRE} ${CENTRE})`}
        />
        <text class="ring-count" x={CENTRE} y={CENTRE + 2}>
          {received}
        </text>
        <text class="ring-of" x={CENTRE} y={CENTRE + 22}>
          {`of ${eligible}`}
        </text>
      </svg>
      <figcaption>
        {isReached ? `Quorum of ${quorum} reached` : `${missing} more to the quorum of ${quorum}`}
      </figcaption>
    </figure>
  );
}
