"""Programs for node with the real supabase-js, against a running stack."""

import json
import shutil
import subprocess
import uuid
from typing import Any

import pytest

from local.processes.stack import Stack
from tests.npm import FOLDER, SUPABASE_JS, package

_PROGRAM = """
import {{ createClient }} from '@supabase/supabase-js'
const given = {given}
const options = {{ realtime: {{ transport: class {{}} }},
                   auth: {{ persistSession: false, autoRefreshToken: false }} }}
const client = (key = given.publishable) => createClient(given.url, key, options)
const told = ({{ data, error }}) => error
  ? {{ error: {{ name: error.name, code: error.code, status: error.status,
                statusCode: error.statusCode, message: error.message }} }}
  : {{ data }}
const person = async (email = `${{crypto.randomUUID()}}@example.com`) => {{
  const one = client()
  const {{ data, error }} = await one.auth.signUp({{ email, password: 'correct horse' }})
  if (error) throw error
  return Object.assign(one, {{ id: data.user.id, email, session: data.session }})
}}
const answer = await (async () => {{
{program}
}})()
process.stdout.write(JSON.stringify(answer ?? null))
"""


def run(stack: Stack, program: str, **given: Any) -> Any:
    """What the program returns; it has ``client()``, ``person()``, ``told(result)``, ``given``."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node: supabase-js is not run")
    package(SUPABASE_JS)
    known = {
        "url": stack.supabase_url,
        "publishable": stack.keys.publishable,
        "secret": stack.keys.secret,
    }
    script = FOLDER / f"program-{uuid.uuid4()}.mjs"
    script.write_text(_PROGRAM.format(given=json.dumps(known | given), program=program))
    try:
        done = subprocess.run(
            [node, str(script)], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        script.unlink()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
