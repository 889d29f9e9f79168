"""A program of its own: a voice of piper, which speaks as long as its standard input is open.

    python -m ivr.speech.piper_voice VOICE.onnx

Reads lines of JSON {"text", "file"}, writes each text as speech into its WAV file, and answers with
a line: {} or {"failed": why}. A process apart: a voice takes hundreds of megabytes and both cores,
and piper is under another licence than this program.
"""

from __future__ import annotations

import json
import sys
import wave
from typing import TextIO


def main(model: str, lines: TextIO, answers: TextIO) -> None:
    """Speak until the lines end. Raises what piper raises for a voice that it cannot load."""
    from piper import PiperVoice  # noqa: PLC0415 - a package that need not be there

    voice = PiperVoice.load(model)
    answers.write("{}\n")
    answers.flush()
    for line in lines:
        wish = json.loads(line)
        answer: dict[str, str] = {}
        try:
            target = wave.open(wish["file"], "wb")  # noqa: SIM115 - closing one without sound fails
            voice.synthesize_wav(wish["text"], target)
            target.close()
        except Exception as error:  # whatever it is, the next text may be spoken
            answer = {"failed": type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin, sys.stdout)
