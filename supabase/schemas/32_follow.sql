-- The app's own table of photos, followed by triggers: what is inserted, changed and deleted there is
-- handed over here, a thousand rows as cheaply as one. The app's table wins, and its statements never
-- fail by it, nor wait for long: what could not be handed over is written to memoria.hand_overs, and tried
-- again.

-- The columns of a followed table as an expression of type memoria.handed.
create function memoria.handed_expression(p_columns jsonb) returns text
language sql immutable set search_path = '' as $$
  select format(
    'row(%I::text, %I::text, %s, %I::text, %s)::memoria.handed',
    p_columns ->> 'id', p_columns ->> 'event',
    case when p_columns ? 'bucket_column' then format('%I::text', p_columns ->> 'bucket_column')
      else format('%L::text', p_columns ->> 'bucket') end,
    p_columns ->> 'path',
    case when p_columns ? 'preview_path' then format('%I::text', p_columns ->> 'preview_path') else 'null::text' end
  )
$$;

-- {event: its owner} of some rows of a followed table, as far as they name one.
create function memoria.owners_expression(p_columns jsonb) returns text
language sql immutable set search_path = '' as $$
  select case when p_columns ? 'owner' then format(
    'coalesce(jsonb_object_agg(%1$I::text, %2$I::text) filter (where %1$I is not null and %2$I is not null), ''{}'')',
    p_columns ->> 'event', p_columns ->> 'owner'
  ) else 'null::jsonb' end
$$;

-- Gives an event back to the app that a user made under one of its ids, without what that user put there.
create function memoria.take_event_over(p_relation text, p_event_id text) returns void
language plpgsql set search_path = '' as $$
begin
  delete from memoria.members where event_id = p_event_id;
  perform memoria.remove_media(p_event_id, array(
    select id from memoria.media where event_id = p_event_id and source is null and added_by is not null
  ));
  perform memoria.note_hand_overs(p_relation, array[row(
    p_event_id, p_event_id, 'event_taken_over',
    'A user had made an event of this id; it is the app''s again, without that user''s photos and members.'
  )::memoria.refused], false);
end
$$;

-- Whom this user let into an event, and whom those let in, and so on; the owner's own stay.
create function memoria.remove_members_of(p_event_id text, p_user_id uuid, p_owner_id uuid) returns void
language sql set search_path = '' as $$
  with recursive theirs (id) as (
    select p_user_id
    union
    select user_id from memoria.members join theirs on members.added_by = theirs.id
    where event_id = p_event_id and user_id <> p_owner_id
  )
  delete from memoria.members where event_id = p_event_id and added_by in (select id from theirs)
$$;

-- Makes the events that rows name. One that a user made is the app's as soon as rows name its owner: where that is
-- its maker, it stays as it is (who made it may have given it away); where its maker gave it to that owner, whom they
-- let in goes; else it is taken over. Rows that name no owner say nothing. The photos of a followed table are never
-- filed under an event of which only a user says whose it is. Returns the events that are not the app's.
create function memoria.claim_events(p_relation text, p_events text[], p_owners jsonb) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
  v_owner uuid;
begin
  insert into memoria.events (id, owner_id)
  select id, memoria.as_uuid(p_owners ->> id) from unnest(p_events) as wanted (id)
  where not exists (select from memoria.events where events.id = wanted.id)
  order by id on conflict do nothing;
  for v_event in
    select * from memoria.events
    where id = any (p_events) and (made_by is not null or owner_id is null)
      and memoria.as_uuid(p_owners ->> id) is not null
    order by id for no key update
  loop
    v_owner := memoria.as_uuid(p_owners ->> v_event.id);
    if v_owner = v_event.made_by then
      v_owner := coalesce(v_event.owner_id, v_owner);
    elsif v_owner = v_event.owner_id then
      perform memoria.remove_members_of(v_event.id, v_event.made_by, v_owner);
    elsif v_event.made_by is not null then
      perform memoria.take_event_over(p_relation, v_event.id);
    end if;
    update memoria.events set owner_id = v_owner, made_by = null where id = v_event.id;
    update memoria.hand_overs set code = 'not_handed_over'
    where event_id = v_event.id and failed and code = 'event_of_a_user';
  end loop;
  return array(select id from memoria.events where id = any (p_events) and made_by is not null);
end
$$;

-- Removes photos of a followed table that are no longer its rows. Where another followed table wants one of their
-- ids, as when a row was copied there before it went from here, the sweeper tries again; what is in other hands at
-- this instant is not waited for.
create function memoria.remove_followed(p_relation text, p_ids text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_gone record;
begin
  for v_gone in
    select event_id, array_agg(id) as ids from memoria.media
    where id = any (p_ids) and source = p_relation group by event_id order by event_id
  loop
    perform memoria.lock_event(v_gone.event_id);
    perform memoria.remove_media(v_gone.event_id, v_gone.ids);
  end loop;
  delete from memoria.hand_overs
  where relation = p_relation and row_id = any (p_ids) and failed and code <> 'not_handed_over';
  update memoria.hand_overs set code = 'not_handed_over' where id in (
    select hand_overs.id from memoria.followed join memoria.hand_overs on hand_overs.relation = followed.relation
    where followed.relation <> p_relation and row_id = any (p_ids) and failed and code = 'id_taken'
    for no key update of hand_overs skip locked
  );
end
$$;

-- Takes in rows of a followed table. What is not complete yet, or cannot be taken, is written down.
create function memoria.hand_over(p_relation text, p_rows memoria.handed[], p_owners jsonb) returns integer
language plpgsql set search_path = '' as $$
declare
  v_rows memoria.handed[];
  v_refused memoria.refused[];
  v_others text[];
begin
  v_refused := array(
    select row(media_id, event_id, 'incomplete',
      'The row names no ' || case when event_id is null then 'event' else 'path' end || ' yet.')::memoria.refused
    from unnest(p_rows) where event_id is null or path is null
  );
  perform memoria.remove_followed(p_relation, array(select media_id from unnest(v_refused)));
  v_rows := array(select given from unnest(p_rows) as given where event_id is not null and path is not null);
  v_others := memoria.claim_events(p_relation, array(
    select distinct event_id from unnest(v_rows) as given where memoria.fault_of(given) is null
  ), p_owners);
  v_refused := v_refused || array(
    select row(media_id, event_id, 'event_of_a_user', 'A user made an event of this id: ' || case
      when p_owners is null then 'name the column of the event''s owner in memoria_follow.'
      else 'the row names no owner of the event.'
    end)::memoria.refused
    from unnest(v_rows) where event_id = any (v_others)
  );
  v_rows := array(select given from unnest(v_rows) as given where event_id <> all (v_others));
  v_refused := v_refused || memoria.take_in(v_rows, p_relation, null);
  delete from memoria.hand_overs
  where relation = p_relation and failed and code <> 'not_handed_over'
    and row_id = any (array(select media_id from unnest(p_rows)));
  perform memoria.note_hand_overs(p_relation, v_refused, true);
  return cardinality(p_rows) - cardinality(v_refused);
end
$$;

-- Writes down rows that met with trouble of ours, to be tried again by the sweeper.
create function memoria.postpone_hand_over(p_relation text, p_rows memoria.handed[], p_message text) returns void
language sql set search_path = '' as $$
  insert into memoria.hand_overs (relation, row_id, event_id, code, message, failed)
  select p_relation, left(coalesce(media_id, ''), 200), left(event_id, 200), 'not_handed_over', p_message, true
  from unnest(p_rows)
$$;

-- Tells that changes of a table went by unnoticed, until it is followed again. Nobody is waited for.
create function memoria.note_broken(p_relation text, p_message text) returns void
language plpgsql set search_path = '' as $$
begin
  raise warning 'memoria: changes of % were not handed over: %', p_relation, p_message;
  update memoria.followed set broken = p_message where relation in (
    select relation from memoria.followed
    where relation = p_relation and broken is null for no key update skip locked
  );
exception when others then
  raise warning 'memoria: nor could that be written down: %', sqlerrm;
end
$$;

-- It waits for a lock for half a second, less than a deadlock takes to be seen: what waits longer is the
-- sweeper's. Whoever waited in vain once waits no more in this transaction, so that waits do not add up to the
-- time that the app's statement has.
create function memoria.follow_changes() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '500ms' as $$
declare
  v_relation text := tg_argv[0];
  v_columns jsonb;
  v_rows memoria.handed[] := '{}';
  v_gone memoria.handed[] := '{}';
  v_ids text[];
  v_owners jsonb;
begin
  if current_setting('memoria.waited_in_vain', true) = 'yes' then
    perform set_config('lock_timeout', '1ms', true);
  end if;
  select columns into v_columns from memoria.followed where relation = v_relation;
  if tg_op in ('INSERT', 'UPDATE') then
    execute format(
      'select coalesce(array_agg(%s), ''{}''), %s from memoria_added',
      memoria.handed_expression(v_columns), memoria.owners_expression(v_columns)
    ) into v_rows, v_owners;
  end if;
  if tg_op in ('UPDATE', 'DELETE') then
    execute format(
      'select coalesce(array_agg(%s), ''{}'') from memoria_removed', memoria.handed_expression(v_columns)
    ) into v_gone;
  elsif tg_op = 'TRUNCATE' then
    v_gone := array(
      select row(id, event_id, bucket, path, preview_path)::memoria.handed
      from memoria.media where source = v_relation
    );
  end if;
  v_ids := array(select media_id from unnest(v_gone) except select media_id from unnest(v_rows));
  if tg_op = 'UPDATE' then
    -- only what changed, of what concerns us
    v_rows := array(select given from unnest(v_rows) as given except select given from unnest(v_gone) as given);
  end if;
  begin
    perform memoria.remove_followed(v_relation, v_ids);
    if cardinality(v_rows) > 0 then
      perform memoria.hand_over(v_relation, v_rows, v_owners);
    end if;
  exception when others then
    perform set_config('memoria.waited_in_vain', 'yes', true);
    perform memoria.postpone_hand_over(v_relation, v_rows || array(
      select given from unnest(v_gone) as given where media_id = any (v_ids)
    ), sqlerrm);
  end;
  return null;
exception when others then
  -- never a reason for the app's statement to fail
  perform memoria.note_broken(v_relation, sqlerrm);
  return null;
end
$$;

-- Rows of a followed table as they are now, and the owners of their events.
create function memoria.rows_now(p_relation text, p_ids text[], out rows memoria.handed[], out owners jsonb)
language plpgsql stable
set search_path = ''
-- rows that a policy hides are not gone: an error instead
set row_security = off
as $$
declare
  v_columns constant jsonb := (select columns from memoria.followed where relation = p_relation);
begin
  execute format(
    'select coalesce(array_agg(%s), ''{}''), %s from %s where %I::text = any ($1)',
    memoria.handed_expression(v_columns), memoria.owners_expression(v_columns), p_relation, v_columns ->> 'id'
  ) into rows, owners using p_ids;
end
$$;

-- Tries again rows that were written down: as they are now; those that are gone are removed. What the app
-- changed meanwhile stays written down: its own hand-over may have come before this one.
create function memoria.retry_rows(p_relation text, p_late bigint[]) returns integer
language plpgsql set search_path = '' as $$
declare
  v_ids constant text[] := array(select distinct row_id from memoria.hand_overs where id = any (p_late));
  v_before record;
  v_after record;
  v_count integer;
begin
  select * into v_before from memoria.rows_now(p_relation, v_ids);
  perform memoria.lock_events_of_rows(v_ids, v_before.rows);
  perform memoria.remove_followed(p_relation, array(
    select id from unnest(v_ids) as late (id)
    where id not in (select media_id from unnest(v_before.rows) where media_id is not null)
  ));
  v_count := memoria.hand_over(p_relation, v_before.rows, v_before.owners);
  select * into v_after from memoria.rows_now(p_relation, v_ids);
  delete from memoria.hand_overs where id = any (p_late) and row_id not in (
    select media_id from (
      (select * from unnest(v_before.rows) except select * from unnest(v_after.rows))
      union all
      (select * from unnest(v_after.rows) except select * from unnest(v_before.rows))
    ) as changed
    where media_id is not null
  );
  return v_count;
end
$$;

-- A thousand rows of a table; where that fails, the half of them, until one is alone, which goes behind all
-- others. One success ends it: no event is waited for while others are held. Nor for so long that the sweep ends.
create function memoria.retry_table(p_relation text) returns integer
language plpgsql set search_path = '' set lock_timeout = '10s' as $$
declare
  v_late bigint[];
  v_size integer := 1000;
  v_until constant timestamptz := clock_timestamp() + interval '5 seconds';
begin
  -- whoever changes what is followed holds the table: nobody waits for them, and what is read from here on stands
  execute format('lock table %s in access share mode nowait', p_relation);
  if memoria.followers(p_relation) <> array[to_regclass(p_relation)] then
    return 0;  -- it is another table's name now: broken_follows tells
  end if;
  v_late := array(
    select id from memoria.hand_overs
    where relation = p_relation and failed and code = 'not_handed_over' order by tries, id limit 1000
  );
  for v_turn in 1..50 loop
    v_size := least(v_size, cardinality(v_late));
    -- a thousand are parted in eleven turns
    exit when v_size = 0 or (v_turn > 11 and clock_timestamp() > v_until);
    begin
      return memoria.retry_rows(p_relation, v_late[:v_size]);
    exception
      when lock_not_available or transaction_rollback then
        raise;  -- not by these rows
      when others then
        if v_size = 1 then
          update memoria.hand_overs set tries = tries + 1, message = sqlerrm where id = v_late[1];
          v_late := v_late[2:];
          v_size := 1000;
        else
          v_size := (v_size + 1) / 2;
        end if;
    end;
  end loop;
  return 0;
exception when others then
  raise warning 'memoria: rows of % are still not handed over: %', p_relation, sqlerrm;
  return 0;
end
$$;

-- One table in one sweep, the tables in turn: no table waits for another's trouble to end, and no event of one is
-- held while those of another are waited for.
create function memoria.retry_hand_overs() returns integer
language plpgsql set search_path = '' as $$
declare
  v_relation text := (
    select relation from memoria.followed
    where exists (
      select from memoria.hand_overs
      where relation = followed.relation and failed and code = 'not_handed_over'
    )
    order by retried_at, relation limit 1
  );
  v_count integer;
begin
  if v_relation is null then
    return 0;
  end if;
  v_count := memoria.retry_table(v_relation);
  -- also where it failed, so that the next turn is another's. Not waited for: memoria_follow, which holds the row,
  -- may wait for the table.
  update memoria.followed set retried_at = clock_timestamp() where relation in (
    select relation from memoria.followed where relation = v_relation for no key update skip locked
  );
  return v_count;
end
$$;

create function memoria.unfollow_triggers(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare
  v_trigger text;
begin
  foreach v_trigger in array array['insert', 'update', 'delete', 'truncate'] loop
    execute format('drop trigger if exists %I on %s', 'memoria_follow_' || v_trigger, p_table);
  end loop;
end
$$;

create function memoria.follow_triggers(p_table regclass, p_relation text) returns void
language plpgsql set search_path = '' as $$
declare
  v_trigger record;
begin
  for v_trigger in
    select * from (values
      ('insert', 'referencing new table as memoria_added'),
      ('update', 'referencing old table as memoria_removed new table as memoria_added'),
      ('delete', 'referencing old table as memoria_removed'),
      ('truncate', '')
    ) as one (event, tables)
  loop
    execute format(
      'create trigger %I after %s on %s %s for each statement execute function memoria.follow_changes(%L)',
      'memoria_follow_' || v_trigger.event, v_trigger.event, p_table, v_trigger.tables, p_relation
    );
  end loop;
end
$$;

create function memoria.name_of(p_table regclass) returns text
language sql stable set search_path = '' as $$
  select format('%I.%I', nspname, relname)
  from pg_class join pg_namespace on pg_namespace.oid = relnamespace where pg_class.oid = p_table
$$;

-- Every row that is there already, in pages.
create function memoria.hand_over_existing(p_table regclass, p_relation text, p_columns jsonb) returns integer
language plpgsql set search_path = '' as $$
declare
  v_row record;
  v_rows memoria.handed[] := '{}';
  v_owners jsonb := case when p_columns ? 'owner' then '{}'::jsonb end;
  v_count integer := 0;
begin
  for v_row in execute format(
    'select %s as handed, %s as owner from %s', memoria.handed_expression(p_columns),
    case when p_columns ? 'owner' then format('%I::text', p_columns ->> 'owner') else 'null::text' end, p_table
  ) loop
    v_rows := v_rows || v_row.handed;
    if v_row.owner is not null and (v_row.handed).event_id is not null and not v_owners ? (v_row.handed).event_id then
      v_owners := v_owners || jsonb_build_object((v_row.handed).event_id, v_row.owner);
    end if;
    if cardinality(v_rows) >= 5000 then
      v_count := v_count + memoria.hand_over(p_relation, v_rows, v_owners);
      v_rows := '{}';
    end if;
  end loop;
  return v_count + memoria.hand_over(p_relation, v_rows, v_owners);
end
$$;

-- Photos whose rows are gone unnoticed: while the triggers were off, or by a restore. The join is hashed:
-- statistics of an empty table would compare all rows with all photos.
create function memoria.gone_from(p_table regclass, p_relation text, p_columns jsonb) returns text[]
language plpgsql stable
set search_path = ''
-- rows that a policy hides are not gone: an error instead
set row_security = off
set enable_nestloop = off
as $$
declare
  v_ids text[];
begin
  execute format(
    'select array(select id from memoria.media where source = $1'
    ' and not exists (select from %s where %I::text = media.id) order by event_id, id)',
    p_table, p_columns ->> 'id'
  ) into v_ids using p_relation;
  return v_ids;
end
$$;

create function memoria.remove_gone(p_table regclass, p_relation text, p_columns jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_gone constant text[] := memoria.gone_from(p_table, p_relation, p_columns);
begin
  for v_page in 0..(cardinality(v_gone) - 1) / 5000 loop
    perform memoria.remove_followed(p_relation, v_gone[v_page * 5000 + 1 : (v_page + 1) * 5000]);
  end loop;
end
$$;

-- Tables whose triggers hand over under this name, which may have been theirs once.
create function memoria.followers(p_relation text) returns regclass[]
language sql stable set search_path = '' as $$
  select array(
    select distinct tgrelid::regclass from pg_trigger
    where tgfoid = 'memoria.follow_changes()'::regprocedure and not tgisinternal
      and convert_from(substring(tgargs for octet_length(tgargs) - 1), getdatabaseencoding()) = p_relation
  )
$$;

-- Locks a table. Where it was followed and renamed since, what is known under the name that its triggers tell goes
-- by the new one from now on, unless another table is followed under the old one.
create function memoria.follow_renamed(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare
  v_relation constant text := memoria.name_of(p_table);
  v_former constant text := (
    select convert_from(substring(tgargs for octet_length(tgargs) - 1), getdatabaseencoding()) from pg_trigger
    where tgrelid = p_table and tgfoid = 'memoria.follow_changes()'::regprocedure limit 1
  );
begin
  execute format('lock table %s in access exclusive mode', p_table);
  if v_former is null or v_former = v_relation or exists (
    select from pg_trigger
    where tgrelid = to_regclass(v_former) and tgfoid = 'memoria.follow_changes()'::regprocedure
  ) then
    return;
  end if;
  -- before their photos, as everyone does
  perform from memoria.events
  where id in (select event_id from memoria.media where source = v_former) order by id for no key update;
  delete from memoria.followed where relation = v_relation;
  delete from memoria.hand_overs where relation = v_relation and failed;
  update memoria.followed set relation = v_relation where relation = v_former;
  update memoria.hand_overs set relation = v_relation where relation = v_former;
  update memoria.media set source = v_relation where source = v_former;
end
$$;

-- Raises where triggers of the table itself would not see all of its changes, or not all columns of these.
create function memoria.check_seen(p_table regclass, p_columns jsonb) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_unseen text := (
    select string_agg(value, ', ' order by key) from jsonb_each_text(p_columns)
    where key <> 'bucket' and exists (
      select from pg_attribute where attrelid = p_table and attname = value and attgenerated = 'v'
    )
  );
begin
  if v_unseen is not null then
    raise exception 'Triggers do not see what a virtual column holds: have % stored.', v_unseen using errcode = '0A000';
  elsif (select relispartition from pg_class where oid = p_table) then
    raise exception 'Triggers of a partition do not see statements on its parent: follow %.',
      (select inhparent::regclass from pg_inherits where inhrelid = p_table) using errcode = '0A000';
  end if;
end
$$;

-- Follows a table of the app: from now on, and every row that is there; photos of rows that are gone go. Called
-- again, it changes what is followed. Columns are named as they are in the table; the bucket is a constant or a column.
create function public.memoria_follow(
  p_table regclass,
  p_id text,
  p_event text,
  p_path text,
  p_bucket text default null,
  p_bucket_column text default null,
  p_preview_path text default null,
  p_owner text default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_relation text := memoria.name_of(p_table);
  v_columns jsonb := jsonb_strip_nulls(jsonb_build_object(
    'id', p_id, 'event', p_event, 'path', p_path, 'bucket', p_bucket, 'bucket_column', p_bucket_column,
    'preview_path', p_preview_path, 'owner', p_owner
  ));
  v_missing text := (
    select string_agg(value, ', ' order by key) from jsonb_each_text(v_columns)
    where key <> 'bucket' and not exists (
      select from pg_attribute where attrelid = p_table and attname = value and attnum > 0 and not attisdropped
    )
  );
  v_count integer;
begin
  if v_missing is not null then
    raise exception '% has no column %.', v_relation, v_missing using errcode = '42703';
  elsif p_id is null or p_event is null or p_path is null then
    raise exception 'p_id, p_event and p_path name columns of the table.' using errcode = '22023';
  elsif (p_bucket is null) = (p_bucket_column is null) then
    raise exception 'Name the bucket, or the column that holds it.' using errcode = '22023';
  end if;
  perform memoria.check_seen(p_table, v_columns);
  perform memoria.follow_renamed(p_table);
  if memoria.followers(v_relation) <> '{}' and memoria.followers(v_relation) <> array[p_table] then
    -- else its photos would be taken for rows that are gone from this table
    raise exception 'Another table was followed as %: call memoria_follow or memoria_unfollow of that one first.', v_relation
      using errcode = '55000';
  end if;
  insert into memoria.followed (relation, columns) values (v_relation, v_columns)
  on conflict (relation) do update set columns = excluded.columns, broken = null;
  perform memoria.unfollow_triggers(p_table);
  perform memoria.follow_triggers(p_table, v_relation);
  delete from memoria.hand_overs where relation = v_relation and failed;
  v_count := memoria.hand_over_existing(p_table, v_relation, v_columns);
  perform memoria.remove_gone(p_table, v_relation, v_columns);
  return jsonb_build_object('table', v_relation, 'handed_over', v_count, 'failed', (
    select count(*) from memoria.hand_overs where relation = v_relation and failed
  ));
end
$$;

-- What is still to be done for a table, without leave to fail: rows that cannot be handed over are parted from the
-- others by halves, and told.
create function memoria.retry_all(p_relation text, p_late bigint[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_half constant integer := cardinality(p_late) / 2;
begin
  perform memoria.retry_rows(p_relation, p_late);
exception
  when transaction_rollback then
    raise;  -- not by these rows
  when others then
    if v_half = 0 then
      raise warning 'memoria: row % of % was not handed over: %',
        (select row_id from memoria.hand_overs where id = any (p_late)), p_relation, sqlerrm;
    else
      perform memoria.retry_all(p_relation, p_late[:v_half]);
      perform memoria.retry_all(p_relation, p_late[v_half + 1:]);
    end if;
end
$$;

-- The table is no longer followed; the photos that it handed over stay. What is still to be done for it is done
-- first, however long that waits.
create function public.memoria_unfollow(p_table regclass) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_relation text := memoria.name_of(p_table);
  v_late bigint[];
begin
  perform memoria.follow_renamed(p_table);
  v_late := array(
    select id from memoria.hand_overs
    where relation = v_relation and failed and code = 'not_handed_over'
      -- not those of another table, whose name this one has now
      and memoria.followers(v_relation) = array[p_table]
    order by id
  );
  -- all at once, before their photos, as everyone does
  perform memoria.lock_events_of_rows(array(
    select id from memoria.media where source = v_relation
    union select row_id from memoria.hand_overs where id = any (v_late)
  ), array(
    select row(row_id, event_id, null, null, null)::memoria.handed from memoria.hand_overs where id = any (v_late)
  ));
  for v_page in 1..(cardinality(v_late) + 999) / 1000 loop
    perform memoria.retry_all(v_relation, v_late[v_page * 1000 - 999 : v_page * 1000]);
  end loop;
  perform memoria.unfollow_triggers(p_table);
  delete from memoria.followed where relation = v_relation;
  delete from memoria.hand_overs where relation = v_relation and failed;
  update memoria.media set source = null where source = v_relation;
  return jsonb_build_object('table', v_relation, 'followed', false);
end
$$;
