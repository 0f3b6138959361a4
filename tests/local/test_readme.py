"""README's snippet for an app, run as it is printed: by node, with supabase-js."""

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator

import psycopg
import pytest

from local.processes.stack import Stack, StackOptions
from tests.documents import page
from tests.npm import FOLDER, package

pytestmark = pytest.mark.npm

PROGRAM = """
import {{ createClient }} from '@supabase/supabase-js'
const options = {{ auth: {{ persistSession: false }}, realtime: {{ transport: class {{}} }} }}
const real = createClient({url}, {key}, options)
const supabase = {{ rpc: async (...given) => {{
  const answer = await real.rpc(...given)
  if (answer.error) throw new Error(`${{given[0]}}: ${{answer.error.message}}`)
  return answer
}} }}
const event = {{ id: {event} }}, photo = {{ id: 'm1', path: 'a.jpg' }}, person_id = {person}
{snippet}
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    without = frozenset({"process", "cluster", "cron", "pg_net"})
    with Stack(StackOptions(without=without)) as stack:
        yield stack


def snippets() -> list[str]:
    return re.findall(r"^ *```js\n(.*?)^ *```$", page("README.md"), re.MULTILINE | re.DOTALL)


def test_the_snippet_for_an_app_runs_as_printed(stack: Stack) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node: README's snippet is not run")
    package("@supabase/supabase-js@2")
    event, person = f"event {uuid.uuid4()}", str(uuid.uuid4())
    stack.client().rpc("memoria_create_event", {"p_event_id": event}).execute()
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(
            "insert into memoria.persons (id, event_id) values (%s, %s)", (person, event)
        )
    [snippet] = snippets()
    given = {"url": stack.supabase_url, "key": stack.keys.secret, "event": event, "person": person}
    program = PROGRAM.format(snippet=snippet, **{name: json.dumps(v) for name, v in given.items()})
    script = FOLDER / f"readme-{uuid.uuid4()}.mjs"
    script.write_text(program)
    try:
        done = subprocess.run([node, str(script)], capture_output=True, text=True, check=False)
    finally:
        script.unlink()
    assert done.returncode == 0, done.stderr
    with psycopg.connect(stack.database_url) as connection:
        named = connection.execute("select name from memoria.persons where id = %s", (person,))
        assert named.fetchone() == ("Ann",)
        media = connection.execute("select bucket, path from memoria.media where id = 'm1'")
        assert media.fetchone() == ("photos", "a.jpg")
