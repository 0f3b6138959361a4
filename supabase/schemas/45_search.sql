-- One search: begun before the picture is read, then answered from the vector that was found in it.

-- The link behind a token that still opens the event. One plan for unknown, expired and revoked ones.
create function memoria.open_link(p_token_hash text) returns memoria.search_links
language sql stable set search_path = '' as $$
  select links.* from memoria.search_links as links
  where token_hash = decode(p_token_hash, 'hex') and revoked_at is null and expires_at > clock_timestamp()
$$;

-- How often one search is answered again in a minute: a page that waits for late photos asks less often.
create function memoria.agains_per_minute() returns integer
language sql immutable set search_path = '' as $$
  select 30
$$;

create function memoria.too_many(p_message text, p_seconds double precision) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object(
    'outcome', 'too_many_searches', 'message', p_message, 'retry_after', greatest(ceil(p_seconds), 1)
  )
$$;

-- That a link has answered as often as it may: it opens nothing any more until it ends. Null while it has not.
create function memoria.used_up(p_link memoria.search_links) returns jsonb
language sql stable set search_path = '' as $$
  select memoria.too_many('this link has been used up', extract(epoch from p_link.expires_at - clock_timestamp()))
  where p_link.searches >= p_link.max_searches
$$;

-- Why this guest, link or event has had enough for now; null when it has not. Under the event's
-- advisory lock, so that searches at once are counted one after another.
create function memoria.search_limit(p_link memoria.search_links, p_event_id text, p_guest bytea)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_times timestamptz[];
  v_per_minute integer := memoria.number('searches_per_minute');
  v_used_up jsonb := memoria.used_up(p_link);
begin
  if v_used_up is not null then
    return v_used_up;
  end if;
  if p_guest is not null then
    select array_agg(created_at order by created_at desc) into v_times from memoria.searches
    where event_id = p_event_id and guest = p_guest and created_at > clock_timestamp() - interval '10 minutes';
    if cardinality(v_times) >= coalesce(p_link.per_guest, 10) then
      return memoria.too_many('try again in some minutes', 600 - extract(
        epoch from clock_timestamp() - v_times[coalesce(p_link.per_guest, 10)]
      ));
    end if;
  end if;
  if (
    select count(*) from memoria.searches
    where event_id = p_event_id and created_at > clock_timestamp() - interval '1 minute'
  ) >= v_per_minute then
    return memoria.too_many('many people search this event now: try again in a minute', 60);
  end if;
  return null;
end
$$;

-- Checks, counts and notes the consent; the search counts from here on, whatever comes of it. A guest
-- comes with a token's SHA-256 in hex, the app's backend with the event.
create function public.memoria_begin_search(
  p_token_hash text default null,
  p_event_id text default null,
  p_guest text default null,
  p_consent text default null
) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '5s' as $$
declare
  v_link memoria.search_links;
  v_event memoria.events;
  v_guest bytea;
  v_refusal jsonb;
  v_id uuid;
begin
  if p_token_hash is not null then
    v_link := memoria.open_link(p_token_hash);
  end if;
  -- first of all locks, so that deleting the event never meets a search half way
  select * into v_event from memoria.events
  where id = coalesce(v_link.event_id, case when p_token_hash is null then p_event_id end) for key share;
  if v_event.id is null or (p_event_id is not null and p_event_id <> v_event.id) then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  v_guest := memoria.guest_hash(v_event.id, coalesce('user ' || v_link.user_id::text, 'guest ' || p_guest));
  v_refusal := memoria.used_up(v_link);
  if v_link.id is not null and v_guest is null then
    return jsonb_build_object('outcome', 'guest_required');
  elsif v_event.status = 'archived' then
    -- before anybody is asked for anything
    return jsonb_build_object('outcome', 'event_archived');
  elsif v_refusal is not null then
    return v_refusal;
  elsif p_consent is distinct from memoria.setting('search_consent_version') #>> '{}' then
    return jsonb_build_object('outcome', 'consent_required');
  elsif v_event.clustered_at is null then
    return jsonb_build_object('outcome', 'not_grouped_yet');
  end if;
  perform pg_advisory_xact_lock(hashtextextended('memoria search ' || v_event.id, 0));
  -- read again: other searches were counted meanwhile
  select * into v_link from memoria.search_links where id = v_link.id;
  v_refusal := memoria.search_limit(v_link, v_event.id, v_guest);
  if v_refusal is not null then
    return v_refusal;
  end if;
  update memoria.search_links set searches = searches + 1 where id = v_link.id;
  insert into memoria.searches (event_id, link_id, guest, consent)
  values (v_event.id, v_link.id, v_guest, p_consent) returning id into v_id;
  if v_guest is not null then
    insert into memoria.search_consents (event_id, guest, version)
    values (v_event.id, v_guest, p_consent) on conflict do nothing;
  end if;
  return jsonb_build_object('outcome', 'begun', 'search_id', v_id, 'event_id', v_event.id);
end
$$;

-- What a search that found no usable face came to, for the audit.
create function public.memoria_refuse_search(p_search_id uuid, p_code text) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  update memoria.searches set outcome = left(p_code, 100) where id = p_search_id and outcome = 'begun';
  return jsonb_build_object('outcome', 'refused');
end
$$;

-- How much likelier a selfie is of a person than of a stranger, in nats: search/likeness.py tells the
-- model. p_weight, p_length: how many pictures the selfie is worth, and the length of their mean.
create function memoria.likeness(
  p_similarity double precision, p_weight double precision, p_length double precision,
  p_faces double precision, p_mean_length double precision, p_background double precision,
  p_shared double precision, p_dimensions double precision
) returns double precision
language plpgsql immutable set search_path = '' as $$
declare
  clean constant double precision := 1 - p_background;
  noise constant double precision := 1 - p_shared;
  mine constant double precision := p_weight ^ 2 * (p_length ^ 2 - p_background) / clean;
  theirs constant double precision := p_faces ^ 2 * (p_mean_length ^ 2 - p_background) / clean;
  cross_ constant double precision :=
    p_weight * p_faces * (p_similarity * p_length * p_mean_length - p_background) / clean;
  both_ constant double precision := noise + (p_weight + p_faces) * p_shared;
  one constant double precision := noise + p_weight * p_shared;
  other constant double precision := noise + p_faces * p_shared;
begin
  return p_dimensions * (
    p_shared / (2 * noise) * ((mine + theirs + 2 * cross_) / both_ - mine / one - theirs / other)
    - (ln(both_ / noise) - ln(one / noise) - ln(other / noise)) / 2
  );
end
$$;

-- How alike the people of an event are, whoever they are: 0 to 0.3. Fewer than four say nothing.
create function memoria.background(p_event_id text, p_model text) returns double precision
language sql stable set search_path = '' as $$
  with means as (
    select count(*) as people, extensions.sum(centroid) as total,
      sum(mean_length) as lengths, sum(mean_length ^ 2) as squares
    from memoria.persons where event_id = p_event_id and model = p_model and centroid is not null
  )
  -- the centroids are unit: their lengths come back as the mean product of two people's
  select case
    when people < 4 then 0
    else least(greatest(
      (extensions.vector_norm(total) ^ 2 - people) / (people * (people - 1))
      * (lengths ^ 2 - squares) / (people * (people - 1)) * people / (people + 2), 0), 0.3)
  end
  from means
$$;

-- Everybody and every loose face that the selfie scores at least p_least with, best first; of somebody who was
-- merged, the identities that do: a merge may be taken back.
create function memoria.alike(
  p_event_id text, p_embedding extensions.vector, p_model text, p_rule jsonb, p_least double precision
) returns table (subject uuid, is_person boolean, score double precision, identities uuid[])
language plpgsql stable set search_path = '' as $$
declare
  v_weight constant double precision := p_rule ->> 'weight';
  v_length constant double precision := p_rule ->> 'mean_length';
  v_shared constant double precision := p_rule ->> 'shared';
  v_dimensions constant double precision := p_rule ->> 'dimensions';
  v_background constant double precision := memoria.background(p_event_id, p_model);
  -- a loose face's score is a straight line over its similarity: two points give the one to ask for
  v_at_0 constant double precision :=
    memoria.likeness(0, v_weight, v_length, 1, 1, v_background, v_shared, v_dimensions);
  v_at_1 constant double precision :=
    memoria.likeness(1, v_weight, v_length, 1, 1, v_background, v_shared, v_dimensions);
begin
  return query
  with identity as (
    select persons.id, coalesce(persons.merged_into, persons.id) as root, memoria.likeness(
      -(persons.centroid operator(extensions.<#>) p_embedding), v_weight, v_length,
      persons.centroid_faces, persons.mean_length, v_background, v_shared, v_dimensions
    ) as score
    from memoria.persons
    where persons.event_id = p_event_id and persons.model = p_model and persons.centroid is not null
  ), found as (
    select identity.root, true, max(identity.score) as score, array_agg(identity.id order by identity.id)
    from identity join memoria.persons on persons.id = identity.root
    where not persons.hidden and persons.face_count > 0 and identity.score >= p_least
    group by identity.root
    union all
    select faces.id, false, v_at_0 + (v_at_1 - v_at_0) * -(faces.embedding operator(extensions.<#>) p_embedding),
      '{}'::uuid[]
    from memoria.faces
    where faces.event_id = p_event_id and faces.person_id is null and faces.dismissed is null
      and faces.model = p_model
      and -(faces.embedding operator(extensions.<#>) p_embedding) >= (p_least - v_at_0) / (v_at_1 - v_at_0)
  )
  select * from found order by 3 desc, 1 limit 200;
end
$$;

-- How alike a face is to the mean of its person's other faces, from the mean of all. Null where there are
-- too few of them, or where a user said whose it is, or where another model looked at them; as unlike as can be
-- while no run has seen what that model says.
create function memoria.alike_to_others(p_face memoria.faces) returns double precision
language sql stable set search_path = '' as $$
  select case
    when model = p_face.model
      then (total * similarity - 1) / nullif(sqrt(total ^ 2 - 2 * total * similarity + 1), 0)
    when exists (
      select from memoria.media join memoria.events on events.id = media.event_id
      -- the first photo after a run begins the wait for the next one, and was looked at just before
      where media.id = p_face.media_id
        and looked_at > least(clustered_at, ungrouped_since - interval '1 second')
    ) then -1
  end
  from (
    select model, centroid_faces * mean_length::double precision as total,
      -(centroid operator(extensions.<#>) p_face.embedding) as similarity
    from memoria.persons where id = p_face.identity_id and centroid_faces > 2
  ) as person
  where not exists (
    select from memoria.corrections where face_id = p_face.id and kind = 'pin' and withdrawn_by is null
  )
$$;

-- The photos of people and of loose faces: each photo once, with the box that is meant. It is sure where
-- the face is alike enough to its person's others; the rest only for who is told of what may be. A picture that
-- took another's place is nobody's until it was looked at.
create function memoria.photos_of(p_people uuid[], p_faces uuid[], p_belongs double precision, p_maybe boolean)
returns jsonb
language sql stable set search_path = '' as $$
  with boxes as (
    select distinct on (media_id) media_id, x, y, w, h, is_sure
    from (
      select media_id, x, y, w, h, quality,
        coalesce(memoria.alike_to_others(faces) >= p_belongs, true) as is_sure
      from memoria.faces where person_id = any (p_people)
      union all
      select media_id, x, y, w, h, quality, true from memoria.faces where id = any (p_faces)
    ) as faces
    where is_sure or p_maybe
    order by media_id, is_sure desc, quality desc
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'media_id', media.id, 'bbox', jsonb_build_object('x', x, 'y', y, 'w', w, 'h', h),
    'width', width, 'height', height, 'band', case when is_sure then 'sure' else 'maybe' end,
    'bucket', bucket, 'path', path, 'preview_path', preview_path
  ) order by media.number), '[]')
  from boxes join memoria.media on media.id = boxes.media_id
  where (placed_at > looked_at) is not true
$$;

-- Whether this guest may be these people too. People and faces that one selfie surely finds are one human
-- being (who it may be is not: look-alikes would lead from one to the next): they share a slot, and a guest has as many slots as the link says.
create function memoria.take_slot(p_event_id text, p_guest bytea, p_subjects uuid[], p_slots integer)
returns boolean
language plpgsql set search_path = '' as $$
declare
  v_hashes bytea[] := array(
    select sha256(p_guest || uuid_send(subject)) from unnest(p_subjects) as subject
  );
  -- as whom they may have been found before: loose faces since found their person, people are merged
  v_before bytea[] := array(
    select sha256(p_guest || uuid_send(id)) from (
      select id from memoria.persons where merged_into = any (p_subjects)
      union all
      select id from memoria.faces where person_id = any (p_subjects)
    ) as known
  );
  v_slot integer;
begin
  perform pg_advisory_xact_lock(hashtextextended('memoria search ' || p_event_id, 0));
  select min(slot) into v_slot from memoria.search_subjects
  where event_id = p_event_id and guest = p_guest and subject = any (v_hashes || v_before);
  if v_slot is null then
    select coalesce(max(slot), 0) + 1 into v_slot from memoria.search_subjects
    where event_id = p_event_id and guest = p_guest;
    if v_slot > p_slots then
      return false;
    end if;
  end if;
  insert into memoria.search_subjects (event_id, guest, subject, slot)
  select p_event_id, p_guest, hash, v_slot from unnest(v_hashes) as hash
  on conflict do nothing;
  return true;
end
$$;

-- What there is to search. It reads the people and the loose faces, never all faces of the event.
create function memoria.searched(p_event_id text, p_model text) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'people', people, 'loose_faces', loose_faces, 'of_another_model', other_people + other_loose
  )
  from (
    select count(*) filter (where not hidden) as people,
      coalesce(sum(face_count) filter (where model <> p_model), 0) as other_people
    from memoria.persons where event_id = p_event_id and face_count > 0 and merged_into is null
  ) as persons, (
    select count(*) filter (where model = p_model and embedding is not null) as loose_faces,
      count(*) filter (where model <> p_model) as other_loose
    from memoria.faces where event_id = p_event_id and person_id is null and dismissed is null
  ) as faces
$$;

-- The scan and the audit. p_rule: search/likeness.py's Rule, with the selfie's weight and mean_length.
create function public.memoria_search(
  p_search_id uuid, p_embedding extensions.vector, p_model text, p_rule jsonb
) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '5s'
-- plans made while the tables were small must serve when they are large
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_search memoria.searches;
  v_link memoria.search_links;
  v_event memoria.events;
  v_searched jsonb;
  v_others integer;
  v_slope constant double precision := p_rule ->> 'slope';
  v_belongs constant double precision := p_rule ->> 'belongs';
  v_tells_maybe boolean;
  v_certain double precision;
  v_sure double precision;
  v_maybe double precision;
  v_people uuid[];  -- identities, which a merge that is taken back leaves as they are
  v_faces uuid[];
  v_themselves uuid[];
  v_matches jsonb;
begin
  select * into v_search from memoria.searches where id = p_search_id and outcome = 'begun';
  select * into v_event from memoria.events where id = v_search.event_id for key share;
  select * into v_link from memoria.search_links where id = v_search.link_id;
  if v_event.id is null or (v_search.link_id is not null and (v_link.revoked_at is not null)) then
    return jsonb_build_object('outcome', 'not_found');
  elsif v_event.status = 'archived' then
    return jsonb_build_object('outcome', 'event_archived');
  end if;
  v_searched := memoria.searched(v_event.id, p_model);
  if (v_searched ->> 'of_another_model')::integer > 0 and not exists (
    select from memoria.faces where event_id = v_event.id and model = p_model and embedding is not null
  ) then
    update memoria.searches set outcome = 'model_changed', model = p_model where id = p_search_id;
    return jsonb_build_object('outcome', 'model_changed');
  end if;
  v_others := (v_searched ->> 'people')::integer + (v_searched ->> 'loose_faces')::integer;
  -- the score that every stranger reaches somewhere: from there on the chance falls to 1/e per slope
  v_certain := (p_rule ->> 'demand')::double precision
    + v_slope * (greatest(ln(greatest(v_others, 1) / 100.0), 0) - ln(1000));
  v_sure := v_certain - v_slope * ln((p_rule ->> 'fpir')::double precision);
  v_maybe := v_certain - v_slope * ln(0.02);
  v_tells_maybe := v_search.link_id is null or v_link.maybe;

  select
    string_to_array(string_agg(array_to_string(identities, ','), ',' order by place) filter (where is_person), ','),
    array_agg(subject order by place) filter (where not is_person),
    array_agg(subject) filter (where place = 1 or score >= v_sure),
    jsonb_agg(jsonb_build_object(
      'match', 'm' || place, 'subject', subject, 'is_person', is_person,
      'confidence', round((1 - exp(-greatest((score - v_certain) / v_slope, 0)))::numeric, 6),
      'band', case when score >= v_sure then 'sure' else 'maybe' end,
      'photos', photos
    ) order by place)
  into v_people, v_faces, v_themselves, v_matches
  from (
    select *, row_number() over (order by score desc, subject) as place
    from memoria.alike(
      v_event.id, p_embedding, p_model, p_rule, case when v_tells_maybe then least(v_sure, v_maybe) else v_sure end
    ), lateral (
      select memoria.photos_of(
        case when is_person then array[subject] end, case when not is_person then array[subject] end,
        v_belongs, v_tells_maybe
      ) as photos
      offset 0  -- once, not each time that it is named
    ) as theirs
    where photos <> '[]'
  ) as ranked;

  if v_matches is not null and v_search.guest is not null and not memoria.take_slot(
    v_event.id, v_search.guest, v_themselves, coalesce(v_link.people_per_guest, 3)
  ) then
    update memoria.searches set outcome = 'person_limit', model = p_model where id = p_search_id;
    return jsonb_build_object('outcome', 'person_limit');
  end if;
  -- whom a user forgets meanwhile is not noted, or is there to be purged: forgetting waits for these locks
  v_people := array(select id from memoria.persons where id = any (v_people) for key share skip locked);
  v_faces := array(select id from memoria.faces where id = any (v_faces) for key share skip locked);
  update memoria.searches
  set outcome = case when v_matches is null then 'nobody' else 'found' end, model = p_model,
    people = v_people, loose_faces = v_faces, belongs = v_belongs
  where id = p_search_id;
  return jsonb_build_object(
    'outcome', case when v_matches is null then 'nobody' else 'found' end,
    'event_id', v_event.id, 'matches', coalesce(v_matches, '[]'), 'searched', v_searched,
    'complete', memoria.search_complete(v_event.id)
  );
end
$$;

-- Whether every photo that is there has been looked at and grouped.
create function memoria.search_complete(p_event_id text) returns boolean
language sql stable set search_path = '' as $$
  select ungrouped_since is null and not exists (
    select from memoria.media where event_id = p_event_id and status = 'pending'
  )
  from memoria.events where id = p_event_id
$$;

-- A search that a token's holder made. The same guest, the same link, still open.
create function memoria.own_search(p_search_id uuid, p_token_hash text, p_guest text, p_event_id text)
returns memoria.searches
language sql stable set search_path = '' as $$
  select searches.* from memoria.searches
  left join memoria.open_link(p_token_hash) as link on link.id is not null
  where searches.id = p_search_id and searches.outcome in ('found', 'nobody')
    and case
      when p_token_hash is null then searches.event_id = p_event_id
      else searches.link_id = link.id and searches.guest is not distinct from memoria.guest_hash(
        searches.event_id, coalesce('user ' || link.user_id::text, 'guest ' || p_guest)
      )
    end
$$;

-- Counts that a search is answered again, within its minute. Null, or why it was answered often enough.
create function memoria.count_again(p_search memoria.searches) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_minute constant timestamptz := clock_timestamp() - interval '1 minute';
  v_search memoria.searches;
begin
  update memoria.searches set
    again_from = case when again_from > v_minute then again_from else clock_timestamp() end,
    agains = case when again_from > v_minute then least(agains, memoria.agains_per_minute()) + 1 else 1 end
  where id = p_search.id returning * into v_search;
  if v_search.agains > memoria.agains_per_minute() then
    return memoria.too_many('ask again in a minute', extract(epoch from v_search.again_from - v_minute));
  elsif (
    select sum(agains) from memoria.searches where event_id = v_search.event_id and again_from > v_minute
  ) > memoria.number('searches_per_minute') then
    return memoria.too_many('many people search this event now: try again in a minute', 60);
  end if;
  return null;
end
$$;

-- Today's photos of the same matches, without another selfie.
create function public.memoria_search_again(
  p_search_id uuid, p_token_hash text default null, p_guest text default null, p_event_id text default null
) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '5s'
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_search memoria.searches := memoria.own_search(p_search_id, p_token_hash, p_guest, p_event_id);
  v_refusal jsonb;
  v_people uuid[];
  v_faces uuid[];
begin
  if v_search.id is null then
    return jsonb_build_object('outcome', 'not_found');
  elsif exists (select from memoria.events where id = v_search.event_id and status = 'archived') then
    return jsonb_build_object('outcome', 'event_archived');
  end if;
  v_refusal := memoria.count_again(v_search);
  if v_refusal is not null then
    return v_refusal;
  end if;
  -- people may have been merged or hidden since, loose faces may have found their person
  select array_agg(who.id) into v_people
  from (
    select memoria.root_of(person) as id from unnest(v_search.people) as person
    union
    select person_id from memoria.loose_faces_of(v_search) where person_id is not null
  ) as found, lateral (
    select * from memoria.persons where persons.id = found.id
    offset 0  -- each by its key
  ) as who
  where who.event_id = v_search.event_id and not who.hidden;
  v_faces := array(
    select id from memoria.loose_faces_of(v_search) where person_id is null and dismissed is null
  );
  return jsonb_build_object(
    'outcome', v_search.outcome, 'event_id', v_search.event_id,
    'photos', memoria.photos_of(v_people, v_faces, v_search.belongs, coalesce(
      (select maybe from memoria.search_links where id = v_search.link_id), true
    )),
    'complete', memoria.search_complete(v_search.event_id)
  );
end
$$;

-- The guest asks to be taken out of the event: the host sees it in the audit.
create function public.memoria_request_removal(
  p_search_id uuid, p_token_hash text default null, p_guest text default null, p_event_id text default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_search memoria.searches := memoria.own_search(p_search_id, p_token_hash, p_guest, p_event_id);
begin
  if v_search.id is null then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  update memoria.searches set removal_requested_at = coalesce(removal_requested_at, clock_timestamp())
  where id = v_search.id returning * into v_search;
  return jsonb_build_object('outcome', 'requested', 'removal_requested_at', v_search.removal_requested_at);
end
$$;
