/** What an operator can decide about a rollout: one button each, asked twice. */
import { ROLLOUTS_PATH } from '../../../model/paths.js';
import type { RolloutStatus } from '../../../model/reported.js';
import { COMMANDS, commandBody, commandWords, isPossible } from '../../../model/rollout-commands.js';
import { useApplication, useCaller } from '../../hooks.js';
import { ConfirmedButton } from '../../parts/confirmed-button.js';

export function Commands({ status }: { readonly status: RolloutStatus }) {
  const { api, resources } = useApplication();
  const caller = useCaller();
  const mayAct = caller?.role === 'operator' || caller?.role === 'owner';
  const path = `${ROLLOUTS_PATH}/${status.rollout}`;
  return (
    <fieldset class="commands" aria-label={`What to do with release #${status.rollout}`}>
      {COMMANDS.map((command) => (
        <ConfirmedButton
          key={command}
          {...commandWords(command, status)}
          isDisabled={!mayAct || !isPossible(command, status)}
          onConfirm={async () => {
            await api.post(`${path}/${command}`, commandBody(command, status));
            resources.invalidate((each) => each.startsWith(ROLLOUTS_PATH));
          }}
        />
      ))}
      {caller !== undefined && !mayAct && (
        <span class="muted">{`Your token's role is ${caller.role}; acting on rollouts needs operator.`}</span>
      )}
    </fieldset>
  );
}
