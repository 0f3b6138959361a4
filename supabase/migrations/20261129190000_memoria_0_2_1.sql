-- 0.2.1.

-- Functions that changed: written by python -m local.supabase.changes.

-- Of these photos, those that are known already and are not as they are given.
create or replace function memoria.differing(p_rows memoria.handed[], p_source text) returns text[]
language sql stable set search_path = '' as $$
  select array(
    select media.id
    from unnest(p_rows) as given join memoria.media on media.id = given.media_id
    where (media.event_id, media.bucket, media.path, media.preview_path, media.source)
        is distinct from (given.event_id, given.bucket, given.path, given.preview_path, p_source)
      or (p_source is null and media.status <> 'completed')
  )
$$;

revoke all on function memoria.differing(memoria.handed[],text) from public, anon, authenticated, service_role;

-- Locks, in the order of their ids, the events of photos that are known already: where they are, and where they go.
create or replace function memoria.lock_events_of(p_rows memoria.handed[]) returns void
language sql set search_path = '' as $$
  select from memoria.events
  where id in (
    select unnest(array[media.event_id, given.event_id])
    from unnest(p_rows) as given join memoria.media on media.id = given.media_id
  )
  order by id for no key update
$$;

revoke all on function memoria.lock_events_of(memoria.handed[]) from public, anon, authenticated, service_role;

-- Takes photos in: p_source names the app's table that they are rows of, p_added_by the user who handed
-- them over. Their events exist. Returns those that could not be taken.
create or replace function memoria.take_in(p_rows memoria.handed[], p_source text, p_added_by uuid)
returns memoria.refused[]
language plpgsql set search_path = '' as $$
declare
  v_rows memoria.handed[];
  v_known memoria.handed[];
  v_refused memoria.refused[];
  v_differing text[];
  v_foreign text[];
begin
  v_refused := array(
    select row(given.media_id, given.event_id, 'invalid', memoria.fault_of(given))::memoria.refused
    from unnest(p_rows) as given where memoria.fault_of(given) is not null
  );
  v_rows := array(
    select row(media_id, event_id, bucket, path, preview_path)::memoria.handed from (
      select distinct on (media_id) given.*
      from unnest(p_rows) with ordinality as given (media_id, event_id, bucket, path, preview_path, n)
      where memoria.fault_of(row(media_id, event_id, bucket, path, preview_path)::memoria.handed) is null
      order by media_id, n desc
    ) as last_word
  );
  -- twice at most: a row that somebody else adds or changes at this instant is seen the second time, and not
  -- touched before its event is locked
  for v_turn in 1..2 loop
    v_differing := memoria.differing(v_rows, p_source);
    v_known := array(select given from unnest(v_rows) as given where media_id = any (v_differing));
    perform memoria.lock_events_of(v_known);
    if p_source is not null then
      perform memoria.clear_squatted(v_known, p_source);
    end if;
    v_foreign := array(
      select media.id from unnest(v_rows) as given join memoria.media on media.id = given.media_id
      where media.event_id <> given.event_id or media.source <> p_source
        -- by hand, nobody points a photo elsewhere that follows a table, or that is another user's
        or (p_source is null and (media.bucket, media.path) <> (given.bucket, given.path) and (
          media.source is not null
          or (media.added_by is distinct from p_added_by and not memoria.may(media.event_id, 'manage'))
        ))
    );
    perform memoria.update_known(array(
      select given from unnest(v_known) as given where media_id <> all (v_foreign)
    ), p_source);
    with added as (
      insert into memoria.media (id, event_id, bucket, path, preview_path, added_by, source)
      select media_id, event_id, bucket, path, preview_path, p_added_by, p_source
      from unnest(v_rows) as given
      where not exists (select from memoria.media where id = given.media_id)
      order by media_id
      on conflict do nothing
      returning id
    )
    select array(
      select given from unnest(v_rows) as given
      where media_id not in (select id from added) and media_id <> all (v_differing) and media_id <> all (v_foreign)
    ) into v_rows;
    v_refused := v_refused || array(
      select row(given.media_id, given.event_id, 'id_taken',
        'This id is taken by another photo.')::memoria.refused
      from unnest(p_rows) as given where given.media_id = any (v_foreign)
    );
    exit when cardinality(v_rows) = 0;
  end loop;
  return v_refused;
end
$$;

drop function memoria.lock_events_of(memoria.handed[],text);
