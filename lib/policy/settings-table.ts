/** The tables of settings in docs/policies.md; a test holds the page against them. */
import { POLICY_SECTIONS, type PolicySection } from './policy.js';
import { POLICY_PRESET_NAMES, presetPolicy } from './presets.js';
import { SETTINGS, type Setting, valueAt } from './settings.js';

const TITLES: Readonly<Record<PolicySection, string>> = {
  envelope: 'Operating envelope',
  privacy: 'Privacy profile',
  encryption: 'Encryption profile',
  training: 'Training profile',
  safety: 'Safety thresholds',
  experts: 'Experts',
};

function shownValue(value: unknown): string {
  if (value === undefined) return 'unset';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map((one) => `\`${one}\``).join(' ');
  return `\`${value}\``;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function tableOf(settings: readonly Setting[]): string[] {
  const presets = POLICY_PRESET_NAMES.map((name) => presetPolicy(name));
  const head = ['setting', 'allowed', ...POLICY_PRESET_NAMES, 'what it is', 'environment'];
  return [
    row(head),
    row(head.map(() => '---')),
    ...settings.map((setting) =>
      row([
        `\`${setting.field}\``,
        setting.isOptional ? `${setting.allowed}, or \`null\`` : setting.allowed,
        ...presets.map((preset) => shownValue(valueAt(preset, setting))),
        setting.meaning,
        `\`${setting.environmentName}\``,
      ]),
    ),
  ];
}

/** Markdown: for each section a heading and a table of its settings, with what each preset has. */
export function settingsTable(): string {
  return POLICY_SECTIONS.map((section) =>
    [`### ${TITLES[section]}`, '', ...tableOf(SETTINGS.filter(({ path }) => path[0] === section))].join('\n'),
  ).join('\n\n');
}
