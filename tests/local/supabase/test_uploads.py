"""Storage for an app's users, by the real supabase-js: policies on storage.objects, and URLs that are signed."""

# ruff: noqa: E501 - programs in JavaScript
import uuid
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from local.processes.stack import Stack
from tests.local.supabase.javascript import run

pytestmark = pytest.mark.npm
# every user has a folder of their own, as Supabase's guide has it
POLICIES = """
insert into storage.buckets (id, name, file_size_limit, allowed_mime_types)
  values ('albums', 'albums', 1000, array['image/*', 'text/plain']);
create policy "own folder" on storage.objects for all to authenticated
  using (bucket_id = 'albums' and (storage.foldername(name))[1] = auth.uid()::text)
  with check (bucket_id = 'albums' and (storage.foldername(name))[1] = auth.uid()::text);
"""


@pytest.fixture(scope="module")
def project(stack: Stack) -> Iterator[Stack]:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(POLICIES)
    yield stack
    with psycopg.connect(stack.database_url) as connection:
        connection.execute('drop policy "own folder" on storage.objects')


def test_a_user_has_the_own_folder_and_no_other(project: Stack):
    found = run(project, """
      const ann = await person(), bob = await person()
      const files = one => one.storage.from('albums')
      const photo = new Blob(['photo'], { type: 'image/jpeg' })
      const mine = `${ann.id}/a.jpg`
      return {
        ids: [ann.id, bob.id],
        uploaded: told(await files(ann).upload(mine, photo, { metadata: { shot: 'by Ann' } })),
        stolen: told(await files(bob).upload(`${ann.id}/b.jpg`, photo)),
        again: told(await files(ann).upload(mine, photo)),
        over: told(await files(bob).upload(mine, photo, { upsert: true })),
        replaced: told(await files(ann).upload(mine, Buffer.from('newer'), { upsert: true, contentType: 'image/png' })),
        info: told(await files(ann).info(mine)),
        exists: [await files(ann).exists(mine), await files(bob).exists(mine)].map(one => one.data),
        text: await (await files(ann).download(mine)).data.text(),
        foreign: (await files(bob).download(mine)).error?.name,
        signedByBob: told(await files(bob).createSignedUrl(mine, 60)),
        nobody: told(await client().storage.from('albums').upload('x.jpg', photo)),
        listedByBob: told(await files(bob).list(ann.id)),
        removedByBob: told(await files(bob).remove([mine])),
        stays: told(await files(ann).list(ann.id)),
        removed: told(await files(ann).remove([mine, 'nothing.jpg'])),
        gone: told(await files(ann).list(ann.id)),
      }
    """)  # fmt: skip
    ann, _ = found["ids"]
    assert found["uploaded"]["data"]["fullPath"] == f"albums/{ann}/a.jpg"
    assert uuid.UUID(found["uploaded"]["data"]["id"])
    denied = {"statusCode": "403", "message": "new row violates row-level security policy"}
    for refusal in ("stolen", "nobody", "over"):
        assert found[refusal]["error"].items() >= denied.items(), refusal
        assert found[refusal]["error"]["status"] == 400  # the true one is in the body
    assert found["again"]["error"]["statusCode"] == "409"
    assert "error" not in found["replaced"]
    assert found["info"]["data"]["contentType"] == "image/png"
    assert found["info"]["data"]["size"] == 5
    assert (found["exists"], found["text"]) == ([True, False], "newer")
    assert found["foreign"]
    assert found["signedByBob"]["error"]["statusCode"] == "404"
    assert (found["listedByBob"]["data"], found["removedByBob"]["data"]) == ([], [])
    assert [item["name"] for item in found["stays"]["data"]] == ["a.jpg"]
    assert [item["name"] for item in found["removed"]["data"]] == [f"{ann}/a.jpg"]
    assert found["gone"]["data"] == []


def test_an_upload_belongs_to_who_made_it_so_that_it_may_be_enqueued(project: Stack):
    found = run(project, """
      const ann = await person(), bob = await person()
      const path = `${ann.id}/mine.jpg`
      await ann.storage.from('albums').upload(path, new Blob(['x'], { type: 'image/jpeg' }))
      const event = `event ${ann.id}`, secret = client(given.secret)
      await secret.rpc('memoria_create_event', { p_event_id: event, p_owner_id: ann.id })
      await secret.rpc('memoria_add_member', { p_event_id: event, p_user_id: bob.id, p_role: 'contributor' })
      const hand = async (one, id) => told(await one.rpc('memoria_enqueue',
        { p_media_id: `${id} ${ann.id}`, p_event_id: event, p_bucket: 'albums', p_path: path }))
      return { bob: await hand(bob, 'b'), ann: await hand(ann, 'a') }
    """)  # fmt: skip
    assert found["bob"]["error"]["code"] == "42501"
    assert found["ann"]["data"]["status"]


def test_signed_urls_open_one_object_each_and_say_which_could_not_be_signed(project: Stack):
    found = run(project, """
      const ann = await person(), files = ann.storage.from('albums')
      const names = ['a b.jpg', 'c.jpg'].map(name => `${ann.id}/${name}`)
      for (const name of names) await files.upload(name, new Blob([name], { type: 'image/jpeg' }))
      const one = await files.createSignedUrl(names[0], 60, { download: 'my photo.jpg' })
      const several = await files.createSignedUrls([...names, `${ann.id}/none.jpg`], 60)
      const none = told(await files.createSignedUrls([], 60))
      return { names, one: one.data.signedUrl, several: several.data, none }
    """)  # fmt: skip
    answer = httpx.get(found["one"])
    assert (answer.text, answer.headers["content-type"]) == (found["names"][0], "image/jpeg")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.headers["access-control-allow-origin"] == "*"
    assert found["none"]["error"]["message"] == "body/paths must NOT have fewer than 1 items"
    first, second, missing = found["several"]
    assert [httpx.get(one["signedUrl"]).text for one in (first, second)] == found["names"]
    assert missing["error"] == "Either the object does not exist or you do not have access to it"
    swapped = httpx.get(first["signedUrl"].replace("a%20b.jpg", "c.jpg"))
    assert (swapped.status_code, swapped.json()["error"]) == (400, "InvalidSignature")


def test_a_signed_upload_url_takes_one_upload_of_somebody_who_has_no_key(project: Stack):
    found = run(project, """
      const ann = await person(), bob = await person()
      const path = `${ann.id}/guest.jpg`, photo = new Blob(['by a guest'], { type: 'image/jpeg' })
      const refused = told(await bob.storage.from('albums').createSignedUploadUrl(path))
      const { data } = await ann.storage.from('albums').createSignedUploadUrl(path)
      const guest = client().storage.from('albums')
      const elsewhere = told(await guest.uploadToSignedUrl(`${ann.id}/other.jpg`, data.token, photo))
      const first = told(await guest.uploadToSignedUrl(path, data.token, photo))
      const second = told(await guest.uploadToSignedUrl(path, data.token, photo))
      const taken = told(await ann.storage.from('albums').createSignedUploadUrl(path))
      const over = await ann.storage.from('albums').createSignedUploadUrl(path, { upsert: true })
      const third = told(await guest.uploadToSignedUrl(path, over.data.token, photo))
      return { refused, url: data.signedUrl, elsewhere, first, second, taken, third, path, ann: ann.id }
    """)  # fmt: skip
    assert found["refused"]["error"]["statusCode"] == "403"
    assert found["elsewhere"]["error"]["message"] == "Invalid signature"
    assert found["first"]["data"]["path"] == found["path"]
    assert found["second"]["error"]["statusCode"] == "409"
    assert found["taken"]["error"]["statusCode"] == "409"
    assert "error" not in found["third"]
    as_download = httpx.get(found["url"].replace("/upload/sign/", "/sign/"))
    assert as_download.json()["message"] == "Token is not scoped for download"
    with psycopg.connect(project.database_url) as connection:
        owner = connection.execute(
            "select owner_id from storage.objects where name = %s", (found["path"],)
        ).fetchone()
    assert owner == (found["ann"],)


def test_a_folder_is_listed_level_by_level_in_pages_and_orders(project: Stack):
    found = run(project, """
      const ann = await person(), files = ann.storage.from('albums')
      const names = ['b.jpg', 'A.jpg', 'deep/one.jpg', 'deep/two.jpg', 'deep/er/three.jpg', 'c.jpg']
      for (const name of names)
        await files.upload(`${ann.id}/${name}`, new Blob(['x'], { type: 'image/jpeg' }))
      const shown = async (folder, options) => (await files.list(`${ann.id}${folder}`, options)).data
        .map(item => [item.name, item.id !== null])
      return {
        top: await shown(''), deep: await shown('/deep'),
        page: await shown('', { limit: 2, offset: 1 }),
        down: await shown('', { sortBy: { column: 'name', order: 'desc' } }),
        latest: await shown('', { sortBy: { column: 'created_at', order: 'desc' } }),
        search: await shown('', { search: 'b' }),
        metadata: (await files.list(ann.id, { search: 'b' })).data[0].metadata,
      }
    """)  # fmt: skip
    top = [["A.jpg", True], ["b.jpg", True], ["c.jpg", True], ["deep", False]]
    assert found["top"] == top
    assert found["deep"] == [["er", False], ["one.jpg", True], ["two.jpg", True]]
    assert found["page"] == top[1:3]
    assert found["down"] == top[::-1]
    assert [name for name, _ in found["latest"]] == ["deep", "c.jpg", "A.jpg", "b.jpg"]
    assert found["search"] == [["b.jpg", True]]
    assert found["metadata"]["mimetype"] == "image/jpeg"
    assert found["metadata"]["size"] == 1


def test_a_bucket_takes_only_the_sizes_and_types_that_it_says(project: Stack):
    found = run(project, """
      const ann = await person(), files = ann.storage.from('albums')
      const upload = async (name, size, type) =>
        told(await files.upload(`${ann.id}/${name}`, new Blob(['x'.repeat(size)], { type })))
      return [await upload('a.jpg', 1000, 'image/jpeg'), await upload('b.jpg', 1001, 'image/jpeg'),
              await upload('c.pdf', 10, 'application/pdf'), await upload('ü.jpg', 10, 'image/jpeg')]
    """)  # fmt: skip
    fits, large, other, name = found
    assert "error" not in fits
    assert (large["error"]["statusCode"], large["error"]["status"]) == ("413", 400)
    assert other["error"]["statusCode"] == "415"
    assert other["error"]["message"] == "mime type application/pdf is not supported"
    assert name["error"]["message"].startswith("Invalid key: ")


def test_what_is_moved_or_copied_stays_whole_and_needs_both_rights(project: Stack):
    found = run(project, """
      const ann = await person(), bob = await person(), files = ann.storage.from('albums')
      const from = `${ann.id}/from.jpg`, to = `${ann.id}/to.jpg`
      await files.upload(from, new Blob(['x'], { type: 'image/jpeg' }))
      const away = told(await files.move(from, `${bob.id}/to.jpg`))
      const moved = told(await files.move(from, to))
      const copied = told(await files.copy(to, from))
      const taken = told(await files.move(to, from))
      const missing = told(await files.copy(`${ann.id}/none.jpg`, `${ann.id}/new.jpg`))
      const texts = await Promise.all([from, to].map(async one => (await files.download(one)).data.text()))
      return { away, moved, copied, taken, missing, texts }
    """)  # fmt: skip
    assert found["away"]["error"]["statusCode"] == "403"
    assert found["moved"]["data"]["message"] == "Successfully moved"
    assert found["copied"]["data"]["path"].endswith("/from.jpg")
    assert found["taken"]["error"]["statusCode"] == "409"
    assert found["missing"]["error"]["statusCode"] == "404"
    assert found["texts"] == ["x", "x"]


def test_buckets_are_the_services_to_make_and_nobody_elses_by_default(project: Stack):
    found = run(project, """
      const ann = await person(), admin = client(given.secret).storage
      const name = `bucket-${ann.id}`
      const own = told(await ann.storage.createBucket(name))
      const made = told(await admin.createBucket(name, { public: true, fileSizeLimit: 10, allowedMimeTypes: ['image/png'] }))
      const shown = told(await admin.getBucket(name))
      const hidden = told(await ann.storage.getBucket(name))
      await admin.from(name).upload('a.png', Buffer.from('x'), { contentType: 'image/png' })
      const open = await (await fetch(client().storage.from(name).getPublicUrl('a.png').data.publicUrl)).text()
      const full = told(await admin.deleteBucket(name))
      await admin.updateBucket(name, { public: false })
      const closed = (await fetch(client().storage.from(name).getPublicUrl('a.png').data.publicUrl)).status
      await admin.emptyBucket(name)
      const dropped = told(await admin.deleteBucket(name))
      const none = told(await admin.getBucket(name))
      return { own, made, shown, hidden, open, full, closed, dropped, none }
    """)  # fmt: skip
    assert found["own"]["error"]["statusCode"] == "403"
    assert "error" not in found["made"]
    shown = found["shown"]["data"]
    assert (shown["public"], shown["file_size_limit"]) == (True, 10)
    assert shown["allowed_mime_types"] == ["image/png"]
    assert found["hidden"]["error"]["statusCode"] == "404"
    assert (found["open"], found["closed"]) == ("x", 400)
    assert found["full"]["error"]["message"] == "The bucket you tried to delete is not empty"
    assert "error" not in found["dropped"]
    assert found["none"]["error"]["message"] == "Bucket not found"


def test_an_expired_sign_in_is_told_as_storage_tells_it(project: Stack):
    token = project.keys.user_token(str(uuid.uuid4()), exp=1)
    headers = {"apikey": project.keys.publishable, "Authorization": f"Bearer {token}"}
    answer = httpx.post(f"{project.supabase_url}/storage/v1/object/albums/a.jpg", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["statusCode"] == "403"
    assert answer.json()["message"] == '"exp" claim timestamp check failed'


def test_a_page_that_was_uploaded_is_shown_as_text(project: Stack):
    files = project.client().storage
    name = f"open-{uuid.uuid4()}"
    files.create_bucket(name, options={"public": True})
    files.from_(name).upload("a.html", b"<script>1</script>", {"content-type": "text/html"})
    answer = httpx.get(f"{project.supabase_url}/storage/v1/object/public/{name}/a.html")
    assert answer.headers["content-type"].startswith("text/plain")
