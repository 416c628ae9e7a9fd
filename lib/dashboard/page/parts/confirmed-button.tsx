/** A button that asks again before it does anything, and says what became of it. */
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { RequestFailure } from '../../model/server-api.js';

export interface ConfirmedButtonProperties {
  readonly title: string;
  readonly consequence: string;
  readonly isDangerous: boolean;
  /** Why it cannot be pressed. */
  readonly isDisabled: boolean;
  readonly onConfirm: () => Promise<void>;
}

export function ConfirmedButton(properties: ConfirmedButtonProperties) {
  const { title, isDangerous, isDisabled } = properties;
  const [isAsking, setAsking] = useState(false);
  return (
    <>
      <button
        type="button"
        class={isDangerous ? 'danger' : undefined}
        disabled={isDisabled}
        onClick={() => setAsking(true)}
      >
        {title}
      </button>
      {isAsking && <Question {...properties} onEnd={() => setAsking(false)} />}
    </>
  );
}

function Question(properties: ConfirmedButtonProperties & { readonly onEnd: () => void }) {
  const { title, consequence, isDangerous, isDisabled, onConfirm, onEnd } = properties;
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [isSending, setSending] = useState(false);
  const [failure, setFailure] = useState<string | undefined>();
  useEffect(() => dialog.current?.showModal(), []);

  async function confirm(): Promise<void> {
    setSending(true);
    setFailure(undefined);
    try {
      await onConfirm();
      onEnd();
    } catch (error) {
      setFailure(error instanceof RequestFailure ? error.message : String(error));
      setSending(false);
    }
  }

  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onEnd}>
      <h2 id={id}>{`${title}?`}</h2>
      <p>{consequence}</p>
      {isDisabled && (
        <p class="stale">Meanwhile the rollout has changed, and this is not possible any more.</p>
      )}
      {failure !== undefined && (
        <p class="problem" role="alert">
          {failure}
        </p>
      )}
      <div class="dialog-buttons">
        <button type="button" onClick={() => dialog.current?.close()}>
          No, go back
        </button>
        <button
          type="button"
          class={isDangerous ? 'primary danger' : 'primary'}
          disabled={isSending || isDisabled}
          onClick={confirm}
        >
          {`Yes, ${title.toLowerCase()}`}
        </button>
      </div>
    </dialog>
  );
}
