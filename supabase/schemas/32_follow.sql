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

-- {event: its owner} of some rows of a followed table, as far as they name one: the one that the first row names.
create function memoria.owners_expression(p_columns jsonb) returns text
language sql immutable set search_path = '' as $$
  select case when p_columns ? 'owner' then format(
    'coalesce(jsonb_object_agg(%1$I::text, %2$I::text order by ctid desc)'
    ' filter (where %1$I is not null and %2$I is not null), ''{}'')',
    p_columns ->> 'event', p_columns ->> 'owner'
  ) else 'null::jsonb' end
$$;

-- What users said of an event who have no role there any more: their guests' links end, and that it is archived, or
-- will be, is taken back.
create function memoria.end_word_of_others(p_event_id text, p_owner_id uuid) returns void
language plpgsql set search_path = '' as $$
declare
  v_heard constant uuid[] := array(select user_id from memoria.members where event_id = p_event_id) || p_owner_id;
begin
  update memoria.search_links set revoked_at = clock_timestamp()
  where event_id = p_event_id and revoked_at is null and created_by <> all (v_heard);
  update memoria.events set archive_at = null, archive_time_by = null
  where id = p_event_id and archive_time_by <> all (v_heard);
  if exists (select from memoria.events where id = p_event_id and archived_by <> all (v_heard)) then
    perform memoria.open_again(p_event_id);
  end if;
end
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
    'A user had made an event of this id; it is the app''s again, without that user''s photos, members and links.'
  )::memoria.refused], false);
end
$$;

-- Of an event's members, those stay whom its owner or the app's backend let in, and whom those let in, and so on; but
-- nobody whom this user let in.
create function memoria.remove_members_of(p_event_id text, p_user_id uuid, p_owner_id uuid) returns void
language sql set search_path = '' as $$
  with recursive kept (id) as (
    select user_id from memoria.members
    where event_id = p_event_id and (added_by is null or added_by = p_owner_id)
    union
    select user_id from memoria.members join kept on members.added_by = kept.id
    where event_id = p_event_id and kept.id <> p_user_id
  )
  delete from memoria.members where event_id = p_event_id and user_id not in (select id from kept)
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
    if v_event.made_by <> memoria.as_uuid(p_owners ->> v_event.id) then
      perform memoria.end_word_of_others(v_event.id, v_owner);
    end if;
    -- whoever owns it needs no other role, and keeps none when it is given away
    delete from memoria.members where event_id = v_event.id and user_id = v_owner;
    update memoria.events set owner_id = v_owner, made_by = null where id = v_event.id;
  end loop;
  return array(select id from memoria.events where id = any (p_events) and made_by is not null);
end
$$;

-- Removes photos of a followed table that are no longer its rows.
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

-- Rows of a followed table as they are now, and the owners of their events.
create function memoria.rows_now(
  p_relation text, p_ids text[], p_table regclass default null, out rows memoria.handed[], out owners jsonb
)
language plpgsql stable
set search_path = ''
-- rows that a policy hides are not gone: an error instead
set row_security = off
as $$
declare
  v_columns constant jsonb := (select columns from memoria.followed where relation = p_relation);
  v_table constant regclass := coalesce(p_table, p_relation::regclass);
  v_id constant text := v_columns ->> 'id';
  v_type constant text := (
    select format_type(atttypid, atttypmod) from pg_attribute where attrelid = v_table and attname = v_id
  );
  v_query constant text := format(
    'select coalesce(array_agg(%s), ''{}''), %s from %s where ',
    memoria.handed_expression(v_columns), memoria.owners_expression(v_columns), v_table
  ) || case when array_position(p_ids, null) is not null then format('%I is null or ', v_id) else '' end;
begin
  -- by the index, which is of the column's own type
  execute v_query || format('%I = any ($1::%s[])', v_id, v_type) into rows, owners using p_ids;
exception when data_exception or undefined_function then
  -- an id that was noted before the column had this type, or a type whose operators lie elsewhere
  execute v_query || format('%I::text = any ($1)', v_id) into rows, owners using p_ids;
end
$$;

-- The rows that a statement added, changed in what concerns us, or removed: as they were and as it left them.
create function memoria.touched_expression(p_operation text, p_columns jsonb) returns text
language sql immutable set search_path = '' as $$
  select format(case p_operation
    when 'INSERT' then 'select %1$s from memoria_added'
    when 'DELETE' then 'select %1$s from memoria_removed'
    else '(select %1$s from memoria_added except select %1$s from memoria_removed) union all'
      ' (select %1$s from memoria_removed except select %1$s from memoria_added)'
  end, memoria.handed_expression(p_columns))
$$;

-- Of these rows, those that wait for the sweeper, or may: what it reads at this instant may be older than they are.
create function memoria.waiting_rows(p_relation text, p_ids text[]) returns text[]
language sql stable set search_path = '' as $$
  select array(
    select distinct row_id from memoria.hand_overs
    where relation = p_relation and row_id = any (p_ids) and failed and code not in ('incomplete', 'invalid')
  )
$$;

-- Rows are handed over as they are now, whatever the statement left: a trigger of the app's own may have changed them
-- since, and been handed over before. What waits for the sweeper is noted once more: it may be about to hand over what
-- it read before.
-- It waits for a lock for half a second, less than a deadlock takes to be seen: what waits longer is the
-- sweeper's. Whoever waited in vain once waits no more in this transaction, so that waits do not add up to the
-- time that the app's statement has.
create function memoria.follow_changes() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '500ms' as $$
declare
  v_relation text := tg_argv[0];
  v_touched memoria.handed[];
  v_ids text[];
  v_now record;
  v_gone text[];
  v_waiting text[];
  v_late memoria.handed[];
begin
  if current_setting('memoria.waited_in_vain', true) = 'yes' then
    perform set_config('lock_timeout', '1ms', true);
  end if;
  if tg_op = 'TRUNCATE' then
    v_touched := array(
      select row(id, event_id, bucket, path, preview_path)::memoria.handed
      from memoria.media where source = v_relation
      union all
      select row(row_id, event_id, null, null, null)::memoria.handed
      from memoria.hand_overs where relation = v_relation and failed and code <> 'not_handed_over'
    );
  else
    execute format('select array(%s)', memoria.touched_expression(
      tg_op, (select columns from memoria.followed where relation = v_relation)
    )) into v_touched;
  end if;
  if v_touched = '{}' then
    return null;
  end if;
  v_ids := array(select distinct media_id from unnest(v_touched));
  v_late := v_touched;
  begin
    select * into v_now from memoria.rows_now(v_relation, v_ids, tg_relid);
    v_gone := array(select unnest(v_ids) except select media_id from unnest(v_now.rows));
    -- as they are now, or were; not `any`, which looks at all of them for each in a plan that is kept
    v_late := v_now.rows || array(
      select distinct on (media_id) given from unnest(v_touched) as given
      where media_id in (select unnest(v_gone))
    );
    v_waiting := memoria.waiting_rows(v_relation, v_ids);
    perform memoria.remove_followed(v_relation, v_gone);
    if cardinality(v_now.rows) > 0 then
      perform memoria.hand_over(v_relation, v_now.rows, v_now.owners);
    end if;
    perform memoria.postpone_hand_over(v_relation, array(
      select given from unnest(v_late) as given where media_id in (select unnest(v_waiting))
    ), 'It changed while it was still to be handed over.');
  exception when others then
    perform set_config('memoria.waited_in_vain', 'yes', true);
    perform memoria.postpone_hand_over(v_relation, v_late, sqlerrm);
  end;
  return null;
exception when others then
  -- never a reason for the app's statement to fail
  perform memoria.note_broken(v_relation, sqlerrm);
  return null;
end
$$;

-- Tries again rows that were written down: as they are now; those that are gone are removed. What the app changes
-- meanwhile it writes down again, since it finds it here. What changed while their events were waited for is left to
-- the next sweep.
create function memoria.retry_rows(p_relation text, p_late bigint[], p_table regclass default null) returns integer
language plpgsql set search_path = '' as $$
declare
  v_ids text[] := array(select distinct row_id from memoria.hand_overs where id = any (p_late));
  v_before record;
  v_now record;
  v_count integer;
begin
  select * into v_before from memoria.rows_now(p_relation, v_ids, p_table);
  perform memoria.lock_events_of_rows(v_ids, v_before.rows);
  select * into v_now from memoria.rows_now(p_relation, v_ids, p_table);
  v_ids := array(
    select unnest(v_ids) except select media_id from (
      (select * from unnest(v_before.rows) except select * from unnest(v_now.rows))
      union all
      (select * from unnest(v_now.rows) except select * from unnest(v_before.rows))
    ) as changed
  );
  perform memoria.remove_followed(p_relation, array(
    select unnest(v_ids) except select media_id from unnest(v_now.rows)
  ));
  v_count := memoria.hand_over(p_relation, array(
    select given from unnest(v_now.rows) as given where media_id = any (v_ids)
  ), v_now.owners);
  delete from memoria.hand_overs where id = any (p_late) and row_id = any (v_ids);
  return v_count;
end
$$;

-- A thousand rows of a table; where that fails, the half of them, until one is alone, which goes behind all
-- others. One success ends it: no event is waited for while others are held. Nor for as long as a deadlock takes to be
-- seen: who holds the event may want the table.
create function memoria.retry_table(p_relation text) returns integer
language plpgsql set search_path = '' set lock_timeout = '500ms' as $$
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

-- Rows whose id or event another had, and has no longer, are tried again. Ten thousand are asked in one sweep, any, so
-- that all are in time. Who changes one at this instant is not waited for.
create function memoria.retry_freed() returns void
language plpgsql set search_path = '' as $$
declare
  v_dropped constant text[] := memoria.dropped_tables();
  v_freed bigint[];
begin
  v_freed := array(
    select id from memoria.hand_overs as kept_out
    where id in (
      select id from memoria.hand_overs
      where failed and code in ('id_taken', 'event_of_a_user') order by random() limit 10000
    ) and relation <> all (v_dropped) and case code
      when 'event_of_a_user' then not exists (
        select from memoria.events where events.id = kept_out.event_id and made_by is not null
      )
      else not exists (
        select from memoria.media where media.id = row_id
          and case when source is null then media.event_id <> kept_out.event_id else source <> all (v_dropped) end
      )
    end
  );
  update memoria.hand_overs set code = 'not_handed_over' where id in (
    select id from memoria.hand_overs where id = any (v_freed) for no key update skip locked
  );
end
$$;

-- One table in one sweep, the tables in turn: no table waits for another's trouble to end, and no event of one is
-- held while those of another are waited for.
create function memoria.retry_hand_overs() returns integer
language plpgsql set search_path = '' as $$
declare
  v_relation text;
  v_count integer;
begin
  perform memoria.retry_freed();
  select relation into v_relation from memoria.followed
  where exists (
    select from memoria.hand_overs
    where relation = followed.relation and failed and code = 'not_handed_over'
  )
  order by retried_at, relation limit 1;
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

-- Whatever they are called by now.
create function memoria.unfollow_triggers(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare
  v_trigger name;
begin
  for v_trigger in
    select tgname from pg_trigger
    where tgrelid = p_table and tgfoid = 'memoria.follow_changes()'::regprocedure and not tgisinternal
  loop
    execute format('drop trigger %I on %s', v_trigger, p_table);
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

-- Followed tables that were dropped: no table has their name, and none tells it.
create function memoria.dropped_tables() returns text[]
language sql stable set search_path = '' as $$
  select array(
    select relation from memoria.followed where to_regclass(relation) is null and memoria.followers(relation) = '{}'
  )
$$;

-- Followed tables of which nothing is heard any more: they were dropped, whether or not another has the name by now, or
-- their triggers were. Their rows that wait stay in memoria.hand_overs until a table of that name is followed.
create function memoria.tables_without_triggers() returns text[]
language sql stable set search_path = '' as $$
  select array(select relation from memoria.followed where memoria.followers(relation) = '{}')
$$;

-- Photos of dropped tables are nobody's: what p_source names may take them. Their events are locked.
create function memoria.release_dropped(p_ids text[], p_source text) returns void
language plpgsql set search_path = '' as $$
begin
  if exists (select from memoria.media where id = any (p_ids) and source <> p_source) then
    update memoria.media set source = null
    where id = any (p_ids) and source = any ((select memoria.dropped_tables())::text[]);
  end if;
end
$$;

-- Dropped tables whose photos are all another's by now.
create function memoria.forget_dropped() returns void
language sql set search_path = '' as $$
  with forgotten as (
    delete from memoria.followed
    where relation = any ((select memoria.dropped_tables())::text[])
      and not exists (select from memoria.media where source = relation)
    returning relation
  )
  delete from memoria.hand_overs where relation in (select relation from forgotten) and failed
$$;

-- The name that a table had when it was followed, where it was renamed since; null else, and where another table
-- hands over under that name.
create function memoria.former_name(p_table regclass) returns text
language sql stable set search_path = '' as $$
  select former from (
    select convert_from(substring(tgargs for octet_length(tgargs) - 1), getdatabaseencoding()) as former from pg_trigger
    where tgrelid = p_table and tgfoid = 'memoria.follow_changes()'::regprocedure limit 1
  ) as told
  where former <> memoria.name_of(p_table) and memoria.followers(former) = array[p_table]
$$;

-- What waits of a table, then the events of its photos, in the order of their ids; with columns, those of its rows, too.
-- It waits for each lock for less than a deadlock takes to be seen.
create function memoria.lock_books(p_table regclass, p_columns jsonb) returns void
language plpgsql set search_path = '' set lock_timeout = '500ms' as $$
declare
  v_names constant text[] := array[memoria.name_of(p_table), memoria.former_name(p_table)];
begin
  perform from memoria.hand_overs where relation = any (v_names) and failed order by id for update;
  if p_columns is null then
    perform memoria.lock_events_of_rows(array(
      select id from memoria.media where source = any (v_names)
      union select row_id from memoria.hand_overs where relation = any (v_names) and failed
    ), array(
      select row(row_id, event_id, null, null, null)::memoria.handed
      from memoria.hand_overs where relation = any (v_names) and failed
    ));
  else
    execute format(
      'select from memoria.events where id in ('
      ' select %2$I::text from %1$s'
      ' union select event_id from memoria.media where source = any ($1)'
      ' union select event_id from memoria.media where id in (select %3$I::text from %1$s)'
      ') order by id for no key update',
      p_table, p_columns ->> 'event', p_columns ->> 'id'
    ) using v_names;
  end if;
end
$$;

-- Locks a table, what waits of it, and its events: the sweeper's order. Whoever holds an event may want the table next:
-- where one is waited for in vain, the table is let go before it is asked for again. Raises 55P03 after minutes.
create function memoria.lock_followed(p_table regclass, p_columns jsonb default null) returns void
language plpgsql set search_path = '' as $$
declare
  v_name text;
  v_has_table boolean;
begin
  for v_try in 1..600 loop
    v_has_table := false;
    begin
      v_name := p_table::text;
      execute format('lock table %s in access exclusive mode', v_name);
      v_has_table := true;
      if p_table::text = v_name then  -- else it was renamed meanwhile, and another one is locked
        perform memoria.lock_books(p_table, p_columns);
        return;
      end if;
      raise lock_not_available;
    exception when lock_not_available then
      if not v_has_table then
        raise;  -- the caller's own lock_timeout
      end if;
    end;
    perform pg_sleep(0.1);
  end loop;
  raise exception 'Events of % are at work: try again.', p_table using errcode = '55P03';
end
$$;

-- Where a table was followed and renamed since, what is known under its former name goes by the new one from now on.
-- The table, what waits of it and the events of its photos are locked.
create function memoria.follow_renamed(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare
  v_relation constant text := memoria.name_of(p_table);
  v_former constant text := memoria.former_name(p_table);
begin
  if v_former is null then
    return;
  end if;
  delete from memoria.followed where relation = v_relation;
  delete from memoria.hand_overs where relation = v_relation and failed;
  update memoria.followed set relation = v_relation where relation = v_former;
  update memoria.hand_overs set relation = v_relation where relation = v_former;
  update memoria.media set source = v_relation where source = v_former;
end
$$;

-- Whether no two rows of a table have the same value in a column. Of a partitioned table, no index may say so of
-- a column by which it is not parted.
create function memoria.is_unique(p_table regclass, p_column text) returns boolean
language sql stable set search_path = '' as $$
  select relkind = 'p' or exists (
    select from pg_index join pg_attribute on attrelid = indrelid and attnum = indkey[0]
    where indrelid = p_table and attname = p_column
      and indisunique and indisvalid and indnkeyatts = 1 and indpred is null
  )
  from pg_class where oid = p_table
$$;

-- Raises where triggers of the table itself would not see all of its changes, or not all columns of these, or where
-- two rows may have one id.
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
  elsif exists (
    select from pg_inherits join pg_class on pg_class.oid = p_table
    where p_table in (inhrelid, inhparent) and relkind <> 'p'
  ) then
    raise exception 'Triggers do not see statements on tables from which % inherits, or which inherit from it.', p_table
      using errcode = '0A000';
  elsif not memoria.is_unique(p_table, p_columns ->> 'id') then
    raise exception 'Two rows may have the same %: add a primary key or a unique index of this column alone.',
      p_columns ->> 'id' using errcode = '22023';
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
  v_relation text;
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
    raise exception '% has no column %.', memoria.name_of(p_table), v_missing using errcode = '42703';
  elsif p_id is null or p_event is null or p_path is null then
    raise exception 'p_id, p_event and p_path name columns of the table.' using errcode = '22023';
  elsif (p_bucket is null) = (p_bucket_column is null) then
    raise exception 'Name the bucket, or the column that holds it.' using errcode = '22023';
  end if;
  perform memoria.check_seen(p_table, v_columns);
  perform memoria.lock_followed(p_table, v_columns);
  v_relation := memoria.name_of(p_table);
  if memoria.followers(v_relation) <> '{}' and memoria.followers(v_relation) <> array[p_table] then
    -- else its photos would be taken for rows that are gone from this table
    raise exception 'Another table was followed as %: call memoria_follow or memoria_unfollow of that one first.', v_relation
      using errcode = '55000';
  end if;
  perform memoria.follow_renamed(p_table);
  insert into memoria.followed (relation, columns) values (v_relation, v_columns)
  on conflict (relation) do update set columns = excluded.columns, broken = null;
  perform memoria.unfollow_triggers(p_table);
  perform memoria.follow_triggers(p_table, v_relation);
  delete from memoria.hand_overs where relation = v_relation and failed;
  v_count := memoria.hand_over_existing(p_table, v_relation, v_columns);
  perform memoria.remove_gone(p_table, v_relation, v_columns);
  perform memoria.forget_dropped();
  return jsonb_build_object('table', v_relation, 'handed_over', v_count, 'failed', (
    select count(*) from memoria.hand_overs where relation = v_relation and failed
  ));
end
$$;

-- What is still to be done for a table, without leave to fail: rows that cannot be handed over are parted from the
-- others by halves, and told.
create function memoria.retry_all(p_relation text, p_late bigint[], p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare
  v_half constant integer := cardinality(p_late) / 2;
begin
  perform memoria.retry_rows(p_relation, p_late, p_table);
exception
  when transaction_rollback then
    raise;  -- not by these rows
  when others then
    if v_half = 0 then
      raise warning 'memoria: row % of % was not handed over: %',
        (select row_id from memoria.hand_overs where id = any (p_late)), p_relation, sqlerrm;
    else
      perform memoria.retry_all(p_relation, p_late[:v_half], p_table);
      perform memoria.retry_all(p_relation, p_late[v_half + 1:], p_table);
    end if;
end
$$;

-- The table is no longer followed; the photos that it handed over stay. What is still to be done for it is done
-- first, under the name that its photos have. Nothing happens where only its name was followed, of another table.
create function public.memoria_unfollow(p_table regclass) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_known text;
  v_late bigint[];
begin
  perform memoria.lock_followed(p_table);
  v_known := coalesce(memoria.former_name(p_table), memoria.name_of(p_table));
  if memoria.followers(v_known) <@ array[p_table] then
    v_late := array(
      select id from memoria.hand_overs
      where relation = v_known and failed and code = 'not_handed_over' and memoria.followers(v_known) <> '{}'
      order by id
    );
    for v_page in 1..(cardinality(v_late) + 999) / 1000 loop
      perform memoria.retry_all(v_known, v_late[v_page * 1000 - 999 : v_page * 1000], p_table);
    end loop;
    delete from memoria.followed where relation = v_known;
    delete from memoria.hand_overs where relation = v_known and failed;
    update memoria.media set source = null where source = v_known;
  end if;
  perform memoria.unfollow_triggers(p_table);
  return jsonb_build_object('table', memoria.name_of(p_table), 'followed', false);
end
$$;
