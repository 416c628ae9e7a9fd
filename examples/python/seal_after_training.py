#!/usr/bin/env python3
"""Seals a trained LoRA adapter for a round of secure aggregation, by the command line of tensorguard-native.

Python 3.9 or newer, standard library only: copy this file next to your training script. docs/python.md explains it.

    from seal_after_training import seal, training_document

    report = seal(
        "outputs/adapter", plan="round-7.tgp", client_dir="/var/lib/tensorguard/client",
        base="outputs/base", training=training_document(steps=2000, samples=16000, objective="il"),
        out="round-7.tgu",
    )
    print(report["sizeBytes"])

From a shell: python3 seal_after_training.py outputs/adapter --plan round-7.tgp --client ... --out round-7.tgu
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

Path = Union[str, "os.PathLike[str]"]

LOG = logging.getLogger("tensorguard")

#: What the policy was trained by, as an update's header names it.
OBJECTIVES = ("il", "offline_rl", "ppo", "sac", "td3")

COMMAND = "tensorguard-native"


class TensorGuardError(Exception):
    """The command refused, or could not be run.

    ``code`` is stable ("area.kebab-case"): match on it. ``exit_code`` is 1 where input, policy or quorum was refused, 2
    where the command line was used wrongly, and None where there was no command to run.
    """

    def __init__(self, code: str, message: str, exit_code: Optional[int] = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.exit_code = exit_code


def find_command(command: Optional[Sequence[str]] = None) -> List[str]:
    """The command line's beginning: ``command`` where it is given, else ``tensorguard-native`` on the PATH.

    A checkout that is not installed is named so: ``["node", "/path/to/dist/bin/tensorguard-native.js"]``.
    """
    if command is not None:
        if isinstance(command, str) or not command:
            raise ValueError('command is a list such as ["node", "dist/bin/tensorguard-native.js"]')
        return list(command)
    found = shutil.which(COMMAND)
    if found is None:
        raise TensorGuardError(
            "environment.command-missing",
            f"{COMMAND} is not on the PATH. Install the package (npm install --global tensorguard-native), or pass "
            'command=["node", "/path/to/dist/bin/tensorguard-native.js"].',
        )
    return [found]


def run_command(
    arguments: Sequence[str],
    command: Optional[Sequence[str]] = None,
    timeout_seconds: Optional[float] = None,
) -> Dict[str, Any]:
    """Runs one command with ``--json`` and returns its document. Its warnings go to the log "tensorguard".

    Raises TensorGuardError with the command's own code and message where it refuses.
    """
    beginning = find_command(command)
    try:
        ended = subprocess.run(
            [*beginning, *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=timeout_seconds,
            check=False,
        )
    except OSError as error:
        raise TensorGuardError(
            "environment.command-failed", f"{beginning[0]} could not be started: {error}."
        ) from error
    except subprocess.TimeoutExpired as error:
        # Nothing is half done: sealing the same delta again gives what this run may have stored.
        raise TensorGuardError(
            "environment.timeout", f"{arguments[0]} took more than {timeout_seconds} seconds. Run it again."
        ) from error
    try:
        document = json.loads(ended.stdout)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise TensorGuardError(
            "environment.no-document",
            f"{arguments[0]} ended with {ended.returncode} and without a JSON document: {ended.stderr.strip()}",
            ended.returncode,
        )
    if ended.returncode != 0:
        error = document.get("error") or {}
        raise TensorGuardError(
            error.get("code", "environment.no-document"),
            error.get("message", ended.stderr.strip()),
            ended.returncode,
        )
    for line in ended.stderr.splitlines():
        if line.strip():
            LOG.warning("%s", line)
    return document


def training_document(
    steps: Optional[int] = None,
    learning_rate: Optional[float] = None,
    samples: Optional[int] = None,
    objective: Optional[str] = None,
    duration_seconds: Optional[float] = None,
    dataset_hash: Optional[str] = None,
    demonstrations: Optional[int] = None,
    experts: Optional[Mapping[str, float]] = None,
    robot_model: Optional[str] = None,
    policy_family: Optional[str] = None,
) -> Dict[str, Any]:
    """What is known of a training, as ``seal --training`` takes it. Everything is optional, and in the clear.

    ``samples`` decides the client's weight where the plan weighs by samples, and is taken from nowhere else: count what
    training really saw. ``dataset_hash`` is a SHA-256 in hexadecimal; ``experts`` the share of the training that touched
    each of the plan's experts.
    """
    if objective is not None and objective not in OBJECTIVES:
        raise ValueError(f"objective is one of {', '.join(OBJECTIVES)}, not {objective!r}")
    sections = {
        "training": {
            "steps": steps,
            "learningRate": learning_rate,
            "samples": samples,
            "objective": objective,
            "durationMs": None if duration_seconds is None else round(1000 * duration_seconds),
            "datasetHash": dataset_hash,
            "demonstrations": demonstrations,
        },
        "experts": dict(experts or {}),
        "compatibility": {"robotModel": robot_model, "policyFamily": policy_family},
    }
    known = {
        name: {field: value for field, value in fields.items() if value is not None}
        for name, fields in sections.items()
    }
    return {name: fields for name, fields in known.items() if fields}


def seal(
    adapter_dir: Path,
    plan: Path,
    client_dir: Path,
    base: Optional[Path] = None,
    training: Optional[Mapping[str, Any]] = None,
    out: Path = "update.tgu",
    close: Optional[Path] = None,
    command: Optional[Sequence[str]] = None,
    timeout_seconds: Optional[float] = None,
) -> Dict[str, Any]:
    """Seals the adapter in ``adapter_dir`` into the update ``out`` and returns what the command reports.

    ``base`` is the adapter that training started from: the difference is sent. ``training`` is what training_document()
    returns. ``close`` is the close record of the round before. Called again with the same delta and plan, it writes the
    same bytes, so retry as often as you like. Raises TensorGuardError.
    """
    arguments = ["seal", os.fspath(adapter_dir), "--plan", os.fspath(plan), "--client", os.fspath(client_dir)]
    if base is not None:
        arguments += ["--base", os.fspath(base)]
    if close is not None:
        arguments += ["--close", os.fspath(close)]
    arguments += ["--out", os.fspath(out)]
    if training is None:
        return run_command(arguments, command, timeout_seconds)
    with tempfile.TemporaryDirectory(prefix="tensorguard-") as directory:
        path = os.path.join(directory, "training.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(training, file, allow_nan=False)
        return run_command([*arguments, "--training", path], command, timeout_seconds)


def last_learning_rate(log_history: Sequence[Mapping[str, Any]]) -> Optional[float]:
    """The learning rate that Hugging Face's Trainer logged last, if any."""
    return next((entry["learning_rate"] for entry in reversed(log_history) if "learning_rate" in entry), None)


def trainer_callback(
    plan: Path,
    client_dir: Path,
    base: Optional[Path] = None,
    out: Path = "update.tgu",
    samples: Optional[int] = None,
    objective: Optional[str] = None,
    command: Optional[Sequence[str]] = None,
) -> Any:
    """A callback for Hugging Face's Trainer that seals when training ends: ``Trainer(..., callbacks=[trainer_callback(...)])``.

    It saves the PEFT adapter to ``<output_dir>/sealed-adapter`` and seals that. Only the main process does. What the
    command reported is in the callback's ``report``. transformers is imported here, not before.
    """
    from transformers import TrainerCallback  # type: ignore[import-not-found]

    class SealWhenTrained(TrainerCallback):  # type: ignore[misc]
        report: Optional[Dict[str, Any]] = None
        started: Optional[float] = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.started = time.monotonic()

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not state.is_world_process_zero:
                return
            adapter_dir = os.path.join(args.output_dir, "sealed-adapter")
            kwargs["model"].save_pretrained(adapter_dir)
            self.report = seal(
                adapter_dir,
                plan,
                client_dir,
                base=base,
                training=training_document(
                    steps=state.global_step,
                    learning_rate=last_learning_rate(state.log_history),
                    samples=samples,
                    objective=objective,
                    duration_seconds=None if self.started is None else time.monotonic() - self.started,
                ),
                out=out,
                command=command,
            )

    return SealWhenTrained()


def seal_lerobot_checkpoint(
    checkpoint_dir: Path,
    plan: Path,
    client_dir: Path,
    base: Optional[Path] = None,
    out: Path = "update.tgu",
    samples: Optional[int] = None,
    objective: str = "il",
    duration_seconds: Optional[float] = None,
    command: Optional[Sequence[str]] = None,
) -> Dict[str, Any]:
    """Seals a checkpoint of LeRobot (``.../checkpoints/last``, trained with ``--peft...``) after it was saved.

    The adapter lies in its ``pretrained_model``, and the command itself finds steps, learning rate and policy family in
    what LeRobot wrote around it. So this needs no lerobot: call it after ``lerobot-train`` has ended.
    """
    adapter_dir = os.path.join(os.fspath(checkpoint_dir), "pretrained_model")
    training = training_document(samples=samples, objective=objective, duration_seconds=duration_seconds)
    return seal(adapter_dir, plan, client_dir, base=base, training=training, out=out, command=command)


def parse_arguments(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Seal a trained adapter for a round of secure aggregation.")
    parser.add_argument("adapter", help="the directory that PEFT wrote")
    parser.add_argument("--plan", required=True, help="the round's plan (.tgp)")
    parser.add_argument("--client", required=True, help="this client's directory")
    parser.add_argument("--out", required=True, help="the update to write (.tgu)")
    parser.add_argument("--base", help="the adapter that training started from")
    parser.add_argument("--close", help="close record of the round before (.tgc)")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--samples", type=int, help="training samples seen")
    parser.add_argument("--objective", choices=OBJECTIVES)
    parser.add_argument("--duration-seconds", type=float)
    parser.add_argument("--command", type=shlex.split, help=f'in place of {COMMAND}: "node dist/bin/{COMMAND}.js"')
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Prints the report as JSON; 0, 1 (refused) or 2 (usage), as the command itself."""
    logging.basicConfig(format="%(message)s")
    options = parse_arguments(arguments)
    training = training_document(
        steps=options.steps,
        learning_rate=options.learning_rate,
        samples=options.samples,
        objective=options.objective,
        duration_seconds=options.duration_seconds,
    )
    try:
        report = seal(
            options.adapter,
            options.plan,
            options.client,
            base=options.base,
            training=training or None,
            out=options.out,
            close=options.close,
            command=options.command,
        )
    except TensorGuardError as error:
        print(error, file=sys.stderr)
        return error.exit_code or 1
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
