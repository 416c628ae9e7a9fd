/** The question for a token, in front of whatever was on the page. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { RequestFailure } from '../model/server-api.js';
import { useApplication } from './hooks.js';

const TOKEN = /^tg[tl]_[A-Za-z0-9_-]{43,60}$/;

const REASONS: Readonly<Record<string, string>> = {
  'auth.token-expired': 'The token has expired. Enter a new one to go on where you were.',
  'auth.token-revoked': 'The token was revoked. Enter another one to go on where you were.',
  'auth.bad-token': 'This is no token of this server. Check that it was copied whole.',
};

export function SignInDialog({ failure }: { readonly failure: RequestFailure | undefined }) {
  const application = useApplication();
  const dialog = useRef<HTMLDialogElement>(null);
  const [problem, setProblem] = useState<string | undefined>();
  useEffect(() => dialog.current?.showModal(), []);

  function submit(event: SubmitEvent): void {
    event.preventDefault();
    const entered = new FormData(event.currentTarget as HTMLFormElement).get('token');
    const token = typeof entered === 'string' ? entered.trim() : '';
    if (TOKEN.test(token)) application.enter(token);
    else setProblem('A token looks like tgt_ID_SECRET, as the command below prints it.');
  }

  const reason = problem ?? (failure === undefined ? undefined : (REASONS[failure.code] ?? failure.message));
  return (
    <dialog
      ref={dialog}
      class="sign-in"
      aria-labelledby="sign-in-title"
      // There is nothing to go back to without a token.
      onCancel={(event) => event.preventDefault()}
    >
      <form onSubmit={submit}>
        <h2 id="sign-in-title">Sign in</h2>
        <p>This page shows what the server reports to whoever has a token. It stays in this tab.</p>
        <label for="token">Token</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          autofocus
          aria-describedby={reason === undefined ? 'sign-in-how' : 'sign-in-reason sign-in-how'}
          aria-invalid={reason !== undefined}
        />
        {reason !== undefined && (
          <p id="sign-in-reason" class="problem" role="alert">
            {reason}
          </p>
        )}
        <button type="submit" class="primary">
          Sign in
        </button>
        <Readiness />
        <p id="sign-in-how" class="how">
          On the server: <code>tensorguard-native server token create --role viewer --name "your name"</code>,
          or <code>--role operator</code> for pausing and rolling back.
        </p>
      </form>
    </dialog>
  );
}

interface ReadinessAnswer {
  readonly missing: readonly { readonly name: string; readonly advice: string }[];
}

/** A server that cannot run rounds yet takes no token either, and says to anybody what it lacks. */
function Readiness() {
  const [missing, setMissing] = useState<ReadinessAnswer['missing']>([]);
  useEffect(() => {
    fetch('/readyz', { credentials: 'omit' })
      .then(async (response) => {
        if (response.status === 503) setMissing(((await response.json()) as ReadinessAnswer).missing);
      })
      .catch(() => undefined);
  }, []);
  if (missing.length === 0) return null;
  return (
    <div class="problem" role="alert">
      <p>The server is not ready:</p>
      <ul>
        {missing.map(({ name, advice }) => (
          <li key={name}>
            <strong>{name}</strong>: {advice}
          </li>
        ))}
      </ul>
    </div>
  );
}
