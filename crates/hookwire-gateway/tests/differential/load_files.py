"""Reads configuration files with the reference's loader: `load_files.py CASES ANSWERS`, a line of JSON each.

A case: {"text", "env": {name: value}}. An answer: {"plugins": [entries]} or {"refused": why}.
"""

import json
import os
import sys
import tempfile

from cpex.framework.loader.config import ConfigLoader


def load(case):
    os.environ.clear()
    os.environ.update(case["env"])
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(case["text"])
        file.flush()
        try:
            config = ConfigLoader.load_config(file.name)
        except Exception as error:  # whatever the template, the parser or the model refuses
            return {"refused": str(error)}
    return {"plugins": [plugin.model_dump(mode="json") for plugin in config.plugins or []]}


with open(sys.argv[1], encoding="utf-8") as cases, open(sys.argv[2], "w", encoding="utf-8") as answers:
    for line in cases:
        answers.write(json.dumps(load(json.loads(line))) + "\n")
