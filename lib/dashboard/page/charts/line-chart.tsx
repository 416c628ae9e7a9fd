/** Lines over numbers, by uPlot. What they show stands in a table as well, for whoever does not see them. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';

export interface Line {
  readonly label: string;
  readonly values: readonly (number | undefined)[];
  /** Of the custom properties `--series-N`. */
  readonly colour: number;
  /** Not measured: what would come of it. */
  readonly isDashed?: boolean;
}

export interface LineChartProperties {
  /** What is seen, in a sentence. */
  readonly label: string;
  readonly xTitle: string;
  readonly x: readonly number[];
  readonly lines: readonly Line[];
  readonly format?: (value: number) => string;
  /** "3" for round 3. */
  readonly formatX?: (value: number) => string;
}

const HEIGHT = 220;
/** Rounds have no halves. */
const WHOLE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
const DARK = matchMedia('(prefers-color-scheme: dark)');

export function LineChart(properties: LineChartProperties) {
  const place = useRef<HTMLDivElement>(null);
  const { label, lines } = properties;
  const key = JSON.stringify(properties);
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    let chart = draw(element, properties);
    const resized = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    const recolour = (): void => {
      chart.destroy();
      chart = draw(element, properties);
    };
    DARK.addEventListener('change', recolour);
    return () => {
      DARK.removeEventListener('change', recolour);
      resized.disconnect();
      chart.destroy();
    };
  }, [key]);
  return (
    <figure class="chart">
      <figcaption class="legend">
        {lines.map((line) => (
          <span
            key={line.label}
            class={`legend-item series-${line.colour}${line.isDashed === true ? ' dashed' : ''}`}
          >
            {line.label}
          </span>
        ))}
      </figcaption>
      <div ref={place} role="img" aria-label={label} />
    </figure>
  );
}

function draw(element: HTMLElement, properties: LineChartProperties): uPlot {
  const { x, lines, xTitle, format = String, formatX = String } = properties;
  const styles = getComputedStyle(document.documentElement);
  const colour = (name: string): string => styles.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const options: uPlot.Options = {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: padded },
      y: { range: (_, min, max) => [Math.min(0, min), max * 1.08 || 1] },
    },
    axes: [
      {
        ...axis,
        ...{ font, labelFont: font, label: xTitle, labelSize: 20, size: 34, incrs: WHOLE_STEPS },
        values: (_, splits) => splits.map((value) => (Number.isInteger(value) ? formatX(value) : '')),
      },
      { ...axis, font, size: 60, values: (_, splits) => splits.map(format) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(`--series-${line.colour}`),
        width: 2,
        ...(line.isDashed === true && { dash: [6, 5] }),
        points: { show: true, size: 6, fill: colour(`--series-${line.colour}`) },
        spanGaps: true,
      })),
    ],
  };
  return new uPlot(
    options,
    [[...x], ...lines.map(({ values }) => values.map((value) => value ?? null))],
    element,
  );
}

/** One point is in the middle, not on the edge. */
function padded(_: uPlot, min: number, max: number): uPlot.Range.MinMax {
  return min === max ? [min - 1, max + 1] : [min, max];
}
