-- What happened to people, latest first: by runs (job_id) and by users (by).

create function memoria.change_item(c memoria.changes) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'change_id', c.id, 'kind', c.kind, 'person_id', c.person_id, 'other_person_id', c.other_person_id,
    'people', (
      select coalesce(jsonb_agg(split_part(key, '/', 2) order by key), '[]')
      from jsonb_object_keys(c.after) as key where key like 'merged/%'
    ),
    'faces', c.faces, 'face_ids', to_jsonb(memoria.faces_of_change(c)),
    'name', (select value from jsonb_each(c.after) where key = 'name/' || c.person_id),
    'name_before', (select value from jsonb_each(c.before) where key = 'name/' || c.person_id),
    'by', c.made_by, 'job_id', c.job_id, 'created_at', c.created_at,
    'undoes', c.undoes, 'undone_by', c.undone_by,
    'can_undo', c.before is not null and c.undone_by is null
      and c.created_at >= now() - make_interval(days => memoria.undo_days())
  )
$$;

create function public.memoria_history(
  p_event_id text, p_person_id uuid default null, p_after jsonb default null, p_limit integer default 50
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(coalesce(p_limit, 50));
  v_before bigint := coalesce((p_after #>> '{}')::bigint, 9223372036854775807);
  v_person memoria.persons;
  v_page bigint[];
begin
  perform memoria.authorize(p_event_id, 'manage');
  if p_person_id is null then
    v_page := array(
      select id from memoria.changes
      where event_id = p_event_id and id < v_before order by id desc limit v_limit + 1
    );
  else
    v_person := memoria.person_within(p_event_id, p_person_id);
    -- the latest of each of the ids that are this person, then the latest of those
    v_page := array(
      select distinct change_id from (
        select id from memoria.persons where id = v_person.id
        union all
        select id from memoria.persons where merged_into = v_person.id
      ) as person, lateral (
        select change_id from memoria.change_people
        where person_id = person.id and change_id < v_before order by change_id desc limit v_limit + 1
      ) as theirs
      order by change_id desc limit v_limit + 1
    );
  end if;
  return jsonb_build_object(
    'event_id', p_event_id,
    'is_now', case when v_person.id <> p_person_id then v_person.id end,
    'changes', (
      select coalesce(jsonb_agg(memoria.change_item(changes) order by id desc), '[]')
      from memoria.changes where id = any (v_page[:v_limit])
    ),
    'next', case when cardinality(v_page) > v_limit then v_page[v_limit] end
  );
end
$$;
