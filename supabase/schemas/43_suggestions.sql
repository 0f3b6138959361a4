-- Questions to users, made by runs (memoria.people.suggestions), asked one page at a time, answered in one
-- tap. What users said since decides which are still to be asked.

create function memoria.suggestion_id(p_event_id text, p_kind text, p_about text) returns uuid
language sql immutable set search_path = '' as $$
  select encode(substring(sha256(convert_to(
    concat_ws('|', p_event_id, p_kind, p_about), 'UTF8'
  )) from 1 for 16), 'hex')::uuid
$$;

-- Whether a user said that these two are not one: told them apart, or took a face of one from the other.
create function memoria.are_denied(p_one uuid, p_other uuid) returns boolean
language sql stable set search_path = '' as $$
  with ids as (select memoria.ids_of(array[p_one]) as one, memoria.ids_of(array[p_other]) as other)
  select exists (
    select from ids, lateral (
      select * from memoria.distinct_people where one_id = any (one || other)
      offset 0  -- each by its key: either side of the "or" alone has none
    ) as apart
    where (apart.one_id = any (one) and apart.other_id = any (other))
      or (apart.one_id = any (other) and apart.other_id = any (one))
  ) or exists (
    select from ids, lateral (
      select * from memoria.corrections
      where person_id = any (one || other) and kind = 'reject' and withdrawn_by is null
      offset 0  -- each by its key
    ) as said, lateral (
      select person_id from memoria.faces where faces.id = said.face_id
      offset 0  -- each by its key
    ) as face
    where (said.person_id = any (one) and face.person_id = p_other)
      or (said.person_id = any (other) and face.person_id = p_one)
  )
$$;

-- Whether two people may be asked about: neither hidden, merged or without faces, no two different names.
create function memoria.may_be_one(p_one uuid, p_other uuid) returns boolean
language sql stable set search_path = '' as $$
  select exists (
    select from memoria.persons as one, memoria.persons as other
    where one.id = p_one and other.id = p_other
      and one.merged_into is null and other.merged_into is null
      and not one.hidden and not other.hidden and one.face_count > 0 and other.face_count > 0
      and (one.name is null or other.name is null or one.name_key = other.name_key)
  ) and not memoria.are_denied(p_one, p_other)
$$;

-- Of the candidates for a face, those whom it may be, likeliest first: {"person_id", "name", "likelihood"}.
create function memoria.candidates_of(s memoria.suggestions) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'person_id', persons.id, 'name', persons.name, 'likelihood', likelihood
  ) order by likelihood desc, persons.id), '[]')
  from jsonb_to_recordset(s.candidates) as candidate (person_id uuid, likelihood real)
  join memoria.persons on persons.id = candidate.person_id
  where merged_into is null and not hidden and face_count > 0 and not exists (
    select from memoria.corrections as said
    where said.face_id = s.face_id and said.kind = 'reject' and said.withdrawn_by is null
      and memoria.root_of(said.person_id) = persons.id
  )
$$;

-- How many faces the people of a question have, for its sleep.
create function memoria.faces_asked_about(s memoria.suggestions) returns integer[]
language sql stable set search_path = '' as $$
  select array(
    select coalesce(face_count, 0) from unnest(s.people) with ordinality as asked (id, n)
    left join memoria.persons using (id) order by n
  )
$$;

-- Whether a question is to be asked, by all that users said.
create function memoria.stands(s memoria.suggestions) returns boolean
language sql stable set search_path = '' as $$
  select (s.answer is null or (s.answer = 'not_sure' and exists (
      select from unnest(memoria.faces_asked_about(s), s.asleep_at) as faces (today, asleep)
      where faces.today >= faces.asleep + 3
    )))
    and case s.kind
      when 'same_person' then memoria.may_be_one(s.one_id, s.other_id)
      else exists (
        select from memoria.faces where id = s.face_id and person_id is null and dismissed is null
      ) and memoria.candidates_of(s) <> '[]'
    end
$$;

-- How many are to be asked, kept beside the event so that a list need not count.
create function memoria.count_suggestions(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.events set open_suggestions = (
    select jsonb_build_object(
      'same_person', count(*) filter (where kind = 'same_person'),
      'who_is_this', count(*) filter (where kind = 'who_is_this')
    )
    from memoria.suggestions where event_id = p_event_id and open
  )
  where id = p_event_id
$$;

-- Looks at the questions about these people and faces again; the event is locked.
create function memoria.review_suggestions(p_event_id text, p_people uuid[], p_face_ids uuid[]) returns void
language plpgsql set search_path = '' as $$
begin
  if exists (select from memoria.suggestions where event_id = p_event_id) then
    update memoria.suggestions as asked set open = memoria.stands(asked)
    where event_id = p_event_id and (people && p_people or face_id = any (p_face_ids))
      and open <> memoria.stands(asked);
    perform memoria.count_suggestions(p_event_id);
  end if;
end
$$;

-- The questions of a run, in place of those before it. Of who was made a stranger meanwhile there are none.
create function memoria.store_suggestions(p_event_id text, p_suggestions jsonb) returns void
language plpgsql set search_path = '' as $$
begin
  delete from memoria.suggestions where event_id = p_event_id and answer is null;
  insert into memoria.suggestions (
    id, event_id, kind, one_id, other_id, face_id, people, likelihood, weight, photos_together,
    evidence, candidates
  )
  select
    memoria.suggestion_id(p_event_id, kind, coalesce(face_id::text, one_id || '|' || other_id)),
    p_event_id, kind, one_id, other_id, face_id,
    case when face_id is null then array[one_id, other_id] else array(
      select (candidate ->> 'person_id')::uuid
      from jsonb_array_elements(still.candidates) with ordinality as item (candidate, n) order by n
    ) end,
    likelihood, weight, coalesce(photos_together, 0), still.evidence, still.candidates
  from (
    select asked.* from jsonb_to_recordset(p_suggestions) as asked (
      kind text, one_id uuid, other_id uuid, face_id uuid, likelihood real, weight real,
      photos_together integer, evidence jsonb, candidates jsonb
    )
    order by weight desc limit 500
  ) as asked, lateral (
    -- without whom a user forgot meanwhile, and who was new and has no faces, since users said whose they are
    select
      coalesce((
        select jsonb_agg(candidate order by n)
        from jsonb_array_elements(asked.candidates) with ordinality as item (candidate, n)
        where exists (
          select from memoria.persons where id = (candidate ->> 'person_id')::uuid and event_id = p_event_id
          offset 0  -- each by its key
        )
      ), '[]') as candidates,
      coalesce((
        select jsonb_agg(pair order by n)
        from jsonb_array_elements(asked.evidence) with ordinality as item (pair, n)
        where not exists (
          select from unnest(array[pair ->> 'face_id', pair ->> 'other_face_id']::uuid[]) as shown (id)
          where not exists (
            select from memoria.faces where faces.id = shown.id and event_id = p_event_id
            offset 0  -- each by its key
          )
        )
      ), '[]') as evidence
  ) as still
  where (face_id is null or still.candidates <> '[]' and exists (
      select from memoria.faces where id = face_id and event_id = p_event_id
    ))
    and (one_id is null or 2 = (
      select count(*) from memoria.persons where id in (one_id, other_id) and event_id = p_event_id
    ))
  on conflict (id) do update set
    likelihood = excluded.likelihood, weight = excluded.weight, photos_together = excluded.photos_together,
    evidence = excluded.evidence, candidates = excluded.candidates,
    people = case when suggestions.answer is null then excluded.people else suggestions.people end;
  update memoria.suggestions as asked set open = memoria.stands(asked)
  where event_id = p_event_id and open <> memoria.stands(asked);
  perform memoria.count_suggestions(p_event_id);
end
$$;

-- Whether a user ever said anything of a person.
create function memoria.is_touched(p memoria.persons) returns boolean
language sql stable set search_path = '' as $$
  select p.name is not null
    or exists (select from memoria.persons where merged_into = p.id)
    or exists (select from memoria.corrections where person_id = p.id and withdrawn_by is null)
$$;

-- Two people as a merge would have them: the named, the touched, the larger, the older first.
create function memoria.into_first(p_one uuid, p_other uuid) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select id from memoria.persons where id in (p_one, p_other)
    order by name is null, not memoria.is_touched(persons), face_count desc, created_at, id
  )
$$;

-- Two faces of an event: a photo that went to another one keeps its faces' ids.
create function memoria.evidence_item(p_event_id text, p_pair jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'face_id', one.id, 'media_id', one.media_id, 'bbox', memoria.face_box(one),
    'other_face_id', other.id, 'other_media_id', other.media_id, 'other_bbox', memoria.face_box(other),
    'similarity', p_pair -> 'similarity'
  )
  from memoria.faces as one, memoria.faces as other
  where one.id = (p_pair ->> 'face_id')::uuid and other.id = (p_pair ->> 'other_face_id')::uuid
    and one.event_id = p_event_id and other.event_id = p_event_id
$$;

-- Evidence names faces of one_id first; turned where the other one goes first.
create function memoria.suggestion_item(s memoria.suggestions) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('id', s.id, 'kind', s.kind, 'likelihood', round(s.likelihood::numeric, 3)) || case s.kind
    when 'same_person' then (
      select jsonb_build_object(
        'into', (select memoria.person_item(persons) from memoria.persons where id = pair[1]),
        'from', (select memoria.person_item(persons) from memoria.persons where id = pair[2]),
        'photos_together', s.photos_together,
        'evidence', (
          select coalesce(jsonb_agg(item order by n) filter (where item is not null), '[]')
          from jsonb_array_elements(s.evidence) with ordinality as shown (body, n),
            lateral (select memoria.evidence_item(s.event_id, case when pair[1] = s.one_id then body
              else body || jsonb_build_object(
                'face_id', body -> 'other_face_id', 'other_face_id', body -> 'face_id'
              )
            end) as item) as made
        )
      )
      from memoria.into_first(s.one_id, s.other_id) as pair
    )
    else jsonb_build_object('face', memoria.face_cover(s.face_id), 'candidates', memoria.candidates_of(s))
  end
$$;

create function public.memoria_suggestions(
  p_event_id text, p_kind text default null, p_person_id uuid default null, p_limit integer default 20
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
  v_limit integer := memoria.page_limit(coalesce(p_limit, 20));
  v_person uuid;
  v_page uuid[];
  v_total bigint;
begin
  perform memoria.authorize(p_event_id, 'manage');
  if p_kind is not null and p_kind not in ('same_person', 'who_is_this') then
    raise exception 'p_kind is same_person or who_is_this.' using errcode = '22023';
  end if;
  if p_person_id is null then
    v_page := array(
      select id from (
        (
          select id, weight from memoria.suggestions
          where event_id = p_event_id and kind = 'same_person' and open and p_kind is distinct from 'who_is_this'
          order by -weight, id limit v_limit
        )
        union all
        (
          select id, weight from memoria.suggestions
          where event_id = p_event_id and kind = 'who_is_this' and open and p_kind is distinct from 'same_person'
          order by -weight, id limit v_limit
        )
      ) as either
      order by -weight, id limit v_limit
    );
    v_total := (
      select sum(value::bigint) from memoria.events, jsonb_each_text(open_suggestions)
      where id = p_event_id and key = coalesce(p_kind, key)
    );
  else
    v_person := (
      select memoria.root_of(id) from memoria.persons where id = p_person_id and event_id = p_event_id
    );
    if v_person is null then
      perform memoria.refuse_unknown('person');
    end if;
    -- at most 500 rows, of which few are this person's
    v_page := array(
      select id from memoria.suggestions
      where event_id = p_event_id and open and v_person = any (people) and kind = coalesce(p_kind, kind)
      order by -weight, id
    );
    v_total := cardinality(v_page);
    v_page := v_page[:v_limit];
  end if;
  return jsonb_build_object(
    'event_id', p_event_id, 'total', coalesce(v_total, 0),
    'suggestions', (
      select coalesce(jsonb_agg(memoria.suggestion_item(suggestions) order by -weight, id), '[]')
      from memoria.suggestions where id = any (v_page)
    )
  );
end
$$;

create function memoria.refuse_suggestion() returns void
language plpgsql stable set search_path = '' as $$
begin
  raise exception 'There is no such suggestion (any more).'
    using errcode = 'PT404', detail = '{"code": "suggestion_gone"}';
end
$$;

-- What an answer says of two people.
create function memoria.answer_same_person(inout c memoria.changes, s memoria.suggestions, p_answer text)
language plpgsql set search_path = '' as $$
declare
  v_pair uuid[] := memoria.into_first(s.one_id, s.other_id);
begin
  c.person_id := v_pair[1];
  c.other_person_id := v_pair[2];
  if p_answer = 'same' then
    c.kind := 'merged';
    c := memoria.merge(c, v_pair[1], v_pair[2:2]);
  elsif p_answer = 'different' then
    c.kind := 'told_apart';
    c := memoria.tell_apart(c, v_pair[1], v_pair[2]);
  elsif p_answer = 'nobody' then
    -- the smaller, unnamed side is a statue or a poster: kept, so that its photos go nowhere else
    c.kind := 'nobody';
    c.person_id := v_pair[2];
    c.other_person_id := null;
    c := memoria.set_value(c, 'nobody/' || v_pair[2], 'true');
    c := memoria.set_value(c, 'hidden/' || v_pair[2], 'true');
    c := memoria.rests_on_people(c, v_pair[2:2]);
  end if;
end
$$;

-- What an answer says of a face: it is the candidate's that is named, or the likeliest; none of theirs; nobody's.
create function memoria.answer_who_is_this(
  inout c memoria.changes, s memoria.suggestions, p_answer text, p_person_id uuid
)
language plpgsql set search_path = '' as $$
declare
  v_candidate uuid;
begin
  c.faces := 1;
  if p_answer = 'same' then
    c.kind := 'assigned';
    c.person_id := p_person_id;
    c := memoria.give_faces(c, array[s.face_id], p_person_id);
  elsif p_answer = 'different' then
    c.kind := 'rejected';
    for v_candidate in
      select (item ->> 'person_id')::uuid from jsonb_array_elements(memoria.candidates_of(s)) as item
    loop
      c.person_id := coalesce(c.person_id, v_candidate);
      c := memoria.reject_faces(c, array[s.face_id], v_candidate);
    end loop;
  elsif p_answer = 'nobody' then
    c.kind := 'nobody';
    c := memoria.say(c, 'nobody', array[s.face_id]);
  end if;
end
$$;

create function public.memoria_answer_suggestion(p_id uuid, p_answer text, p_person_id uuid default null)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event text := (select event_id from memoria.suggestions where id = p_id);
  s memoria.suggestions;
  v_person uuid;
  c memoria.changes;
begin
  if p_answer is null or p_answer not in ('same', 'different', 'not_sure', 'nobody') then
    raise exception 'p_answer is same, different, not_sure or nobody.' using errcode = '22023';
  elsif v_event is null or not memoria.may(v_event, 'manage') then
    perform memoria.refuse_suggestion();
  end if;
  perform memoria.lock_open_event(v_event, 'manage', 'suggestion');
  select * into s from memoria.suggestions where id = p_id;
  if not found or (not memoria.stands(s) and s.answer is distinct from p_answer) then
    perform memoria.refuse_suggestion();
  end if;
  if memoria.stands(s) then
    if s.kind = 'who_is_this' and p_answer = 'same' then
      select (item ->> 'person_id')::uuid into v_person
      from jsonb_array_elements(memoria.candidates_of(s)) with ordinality as candidate (item, n)
      where p_person_id is null or (item ->> 'person_id')::uuid = memoria.root_of(p_person_id)
      order by n limit 1;
      if v_person is null then
        raise exception 'p_person_id is none of the candidates.' using errcode = '22023';
      end if;
    end if;
    c := memoria.begin_change(v_event, 'not_sure');
    if s.kind = 'same_person' then
      c := memoria.answer_same_person(c, s, p_answer);
    else
      c := memoria.answer_who_is_this(c, s, p_answer, v_person);
    end if;
    -- one who was asked again after a sleep and is not sure again sleeps again
    update memoria.suggestions set answer = null, asleep_at = null where id = p_id and answer = 'not_sure';
    c := memoria.set_value(c, 'answer/' || p_id, to_jsonb(p_answer));
    s.answered_by := memoria.finish_change(c);
  end if;
  return jsonb_build_object('id', p_id, 'answer', p_answer, 'change_id', s.answered_by);
end
$$;
