-- Taking a change back. Undoing is a change of its own with everything turned round, so it can be taken
-- back too. It is refused while a later change rests on what it would take away.

-- Of the parameters of the issue: how long a change can be taken back.
create function memoria.undo_days() returns integer
language sql immutable set search_path = '' as $$
  select 90
$$;

-- The faces that a change is about, found or not.
create function memoria.faces_of_change(c memoria.changes) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select distinct face_id from memoria.corrections
    where id = any (c.held || c.withdrew) and face_id is not null
  )
$$;

-- Later changes that rest on this one: they change or take for granted what it changed, or are about one
-- of its faces. One counts if it holds now and did not when this one was made, or the other way round.
create function memoria.resting_on(c memoria.changes) returns setof memoria.changes
language sql stable set search_path = '' as $$
  select later.* from memoria.changes as later
  where later.event_id = c.event_id and later.id > c.id and later.job_id is null and later.undone_by is null
    and later.applies <> coalesce((
      select earlier.applies from memoria.changes as earlier
      where earlier.root_id = later.root_id and earlier.id <= c.id order by earlier.id desc limit 1
    ), false)
    and (
      later.touches && c.touches
      or (later.applies and later.relies_on && c.touches)
      or exists (
        select from memoria.corrections as theirs join memoria.corrections as ours using (face_id)
        where theirs.id = any (later.held || later.withdrew) and ours.id = any (c.held || c.withdrew)
      )
      or exists (select from memoria.corrections where id = any (c.held) and withdrawn_by = later.id)
    )
  order by later.id
$$;

-- Raises 409 where a change cannot be taken back. The event is locked.
create function memoria.check_undo(c memoria.changes) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_resting jsonb;
  v_text text;
begin
  if c.job_id is not null then
    raise exception 'A run did this, no user: there is nothing to take back.' using errcode = 'PT409';
  elsif c.before is null or c.created_at < now() - make_interval(days => memoria.undo_days()) then
    raise exception 'A change can be taken back for % days.', memoria.undo_days() using errcode = 'PT409';
  end if;
  select jsonb_agg(jsonb_build_object('change_id', id, 'kind', kind)),
    string_agg(id || ' (' || kind || ')', ', ') into v_resting, v_text
  from memoria.resting_on(c);
  if v_resting is not null then
    raise exception 'Later changes rest on this one: %. Take them back first.', v_text
      using errcode = 'PT409', detail = jsonb_build_object('rest_on_it', v_resting)::text;
  elsif cardinality(c.held || c.withdrew) > 0 and not exists (
    select from jsonb_object_keys(c.after) as key where key not like 'shown/%'
  ) and not exists (
    select from memoria.corrections where id = any (c.held || c.withdrew)
  ) then
    raise exception 'The photo is gone.' using errcode = 'PT409';
  end if;
end
$$;

create function public.memoria_undo(p_change_id bigint) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  c memoria.changes;
  u memoria.changes;
begin
  perform memoria.lock_open_event(
    (select event_id from memoria.changes where id = p_change_id), 'manage', 'change'
  );
  select * into c from memoria.changes where id = p_change_id;
  if not found or c.kind = 'forgotten' then
    perform memoria.refuse_unknown('change');
  elsif c.undone_by is null then
    perform memoria.check_undo(c);
    u := memoria.begin_change(c.event_id, 'undone', c.person_id, c.other_person_id);
    u.undoes := c.id;
    u.root_id := c.root_id;
    u.applies := not c.applies;
    u.faces := c.faces;
    u.before := c.after;
    u.after := c.before;
    u.held := c.withdrew;
    u.withdrew := c.held;
    u.touches := c.touches;
    u.relies_on := c.relies_on;
    update memoria.corrections set withdrawn_by = u.id where id = any (u.withdrew);
    update memoria.corrections set withdrawn_by = null where id = any (u.held);
    update memoria.changes set undone_by = u.id where id = c.id;
    c.undone_by := memoria.finish_change(u);
  end if;
  return jsonb_build_object('undone', c.id, 'kind', c.kind, 'change_id', c.undone_by);
end
$$;

-- What is too old to be taken back keeps no more than history tells; the sweeper calls this. As everyone who
-- changes corrections it locks their events; those that are locked are the next sweep's.
create function memoria.prune_changes() returns void
language sql set search_path = '' as $$
  with old as (
    update memoria.changes
    set before = null, after = null, held = null, withdrew = null, touches = null, relies_on = null
    where id in (
      select changes.id from memoria.changes join memoria.events on events.id = changes.event_id
      where before is not null and changes.created_at < now() - make_interval(days => memoria.undo_days())
      order by changes.created_at limit 1000 for no key update of events skip locked
    )
    returning id
  ), gone as (
    delete from memoria.corrections where withdrawn_by in (select id from old)
  )
  delete from memoria.suggestions where answered_by in (select id from old) and answer <> 'not_sure'
$$;
