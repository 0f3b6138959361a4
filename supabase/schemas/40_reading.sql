-- What screens show, in pages. Every page is keyed by where the one before it ended: give `next` back as
-- p_after until it is null. A page tells the version of what it shows; when that changes between two
-- pages, start again. What a page costs does not grow with the event.

create function memoria.page_limit(p_limit integer) returns integer
language sql immutable set search_path = '' as $$
  select least(greatest(coalesce(p_limit, 100), 1), 500)
$$;

create function memoria.version_of(p_event_id text) returns bigint
language sql stable set search_path = '' as $$
  select coalesce((select people_version + photos_version from memoria.events where id = p_event_id), 0)
$$;

create function memoria.people_version_of(p_event_id text) returns bigint
language sql stable set search_path = '' as $$
  select coalesce((select people_version from memoria.events where id = p_event_id), 0)
$$;

-- Enough of a face to draw it: its box, and where its photo lies.
create function memoria.face_cover(p_face_id uuid) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'face_id', faces.id, 'media_id', media.id, 'bucket', media.bucket, 'path', media.path,
    'preview_path', media.preview_path, 'bbox', memoria.face_box(faces),
    'width', media.width, 'height', media.height
  )
  from memoria.faces join memoria.media on media.id = faces.media_id
  where faces.id = p_face_id
$$;

create function memoria.person_item(p memoria.persons) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'person_id', p.id, 'name', p.name, 'hidden', p.hidden, 'nobody', p.nobody, 'cluster_label', p.cluster_label,
    'face_count', p.face_count, 'avg_quality', round(p.avg_quality::numeric, 4),
    'representative_face_id', p.representative_face_id,
    'cover', memoria.face_cover(p.representative_face_id), 'created_at', p.created_at
  )
$$;

create function memoria.photo_item(m memoria.media) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'media_id', m.id, 'bucket', m.bucket, 'path', m.path, 'preview_path', m.preview_path,
    'status', m.status, 'width', m.width, 'height', m.height, 'model', m.model, 'created_at', m.created_at,
    'error', case when m.status = 'failed'
      then jsonb_build_object('code', m.error_code, 'message', m.error_message) end
  )
$$;

create function memoria.face_item(f memoria.faces) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'face_id', f.id, 'bbox', memoria.face_box(f), 'quality_score', f.quality,
    'landmarks', memoria.named_landmarks(f.landmarks), 'person_id', f.person_id,
    'pinned', exists (
      select from memoria.corrections where face_id = f.id and kind = 'pin' and withdrawn_by is null
    )
  )
$$;

-- A photo with its faces: all of them, or those of some people.
create function memoria.photo_with_faces(m memoria.media, p_people uuid[] default null) returns jsonb
language sql stable set search_path = '' as $$
  select memoria.photo_item(m) || jsonb_build_object('faces', (
    select coalesce(jsonb_agg(memoria.face_item(faces) order by quality desc, faces.id), '[]')
    from memoria.faces
    where media_id = m.id and (p_people is null or person_id = any (p_people))
      and dismissed is distinct from 'no_face'
  ))
$$;

-- The people of an event, largest first; named ones also while they have no faces. p_name finds people
-- by the beginning of a word of their name, without case and accents.
create function public.memoria_people(
  p_event_id text,
  p_after jsonb default null,
  p_limit integer default 100,
  p_with_hidden boolean default false,
  p_name text default null
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
  v_limit integer := memoria.page_limit(p_limit);
  v_name text := nullif(memoria.name_key(p_name), '');
  v_after_count integer := coalesce(-(p_after ->> 'face_count')::integer, -2147483647);
  v_after_id uuid := coalesce(memoria.as_uuid(p_after ->> 'person_id'), '00000000-0000-0000-0000-000000000000');
  v_page uuid[];
begin
  perform memoria.authorize(p_event_id, 'view');
  if v_name is null then
    v_page := array(
      select id from (
        (
          select id, face_count from memoria.persons
          where event_id = p_event_id and not hidden
            and merged_into is null and (face_count > 0 or name is not null)
            and (-face_count, id) > (v_after_count, v_after_id)
          order by -face_count, id limit v_limit + 1
        )
        union all
        (
          select id, face_count from memoria.persons
          where event_id = p_event_id and hidden and p_with_hidden
            and merged_into is null and (face_count > 0 or name is not null)
            and (-face_count, id) > (v_after_count, v_after_id)
          order by -face_count, id limit v_limit + 1
        )
      ) as either
      order by -face_count, id limit v_limit + 1
    );
  else
    -- names are given by hand: an event has few
    v_page := array(
      select id from memoria.persons
      where event_id = p_event_id and name is not null and merged_into is null
        and (p_with_hidden or not hidden)
        and ' ' || name_key like '% ' || regexp_replace(v_name, '([\\%_])', '\\\1', 'g') || '%'
        and (-face_count, id) > (v_after_count, v_after_id)
      order by -face_count, id limit v_limit + 1
    );
  end if;
  return jsonb_build_object(
    'event_id', p_event_id, 'version', memoria.people_version_of(p_event_id),
    'people', (
      select coalesce(jsonb_agg(memoria.person_item(persons) order by -face_count, id), '[]')
      from memoria.persons where id = any (v_page[:v_limit])
    ),
    'next', case when cardinality(v_page) > v_limit then (
      select jsonb_build_object('face_count', face_count, 'person_id', id)
      from memoria.persons where id = v_page[v_limit]
    ) end
  );
end
$$;

-- A person's photos in the order in which they came, with the boxes of that person.
create function public.memoria_person_photos(
  p_person_id uuid, p_after jsonb default null, p_limit integer default 100
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
  v_limit integer := memoria.page_limit(p_limit);
  v_person memoria.persons;
  v_page text[];
begin
  select * into v_person from memoria.persons where id = memoria.root_of(p_person_id);
  perform memoria.authorize(v_person.event_id, 'view', 'person');
  if v_person.id is null then
    perform memoria.refuse_unknown('person');
  end if;
  v_page := array(
    select min(media_id) from memoria.faces
    where person_id = v_person.id and media_number > coalesce((p_after #>> '{}')::bigint, 0)
    group by media_number order by media_number limit v_limit + 1
  );
  return memoria.person_item(v_person) || jsonb_build_object(
    'event_id', v_person.event_id, 'version', memoria.people_version_of(v_person.event_id),
    -- the id that was asked for was merged away
    'is_now', case when v_person.id <> p_person_id then v_person.id end,
    'photos', (
      select coalesce(jsonb_agg(memoria.photo_with_faces(media, array[v_person.id]) order by number), '[]')
      from memoria.media where id = any (v_page[:v_limit])
    ),
    'next', case when cardinality(v_page) > v_limit then (
      select number from memoria.media where id = v_page[v_limit]
    ) end
  );
end
$$;

-- The numbers of photos that show all of these people: each is asked in turn for its next photo, from
-- the furthest that another one named on. A page may be short where few photos show them together.
create function memoria.photos_of_all(
  p_people uuid[], p_after bigint, p_limit integer, out numbers bigint[], out go_on bigint
)
language plpgsql stable set search_path = '' as $$
declare
  v_at bigint := p_after + 1;
  v_next bigint;
  v_agreed integer := 0;
  v_asked integer := 0;
begin
  numbers := '{}';
  while cardinality(numbers) < p_limit and v_asked < 10 * p_limit + 100 loop
    select media_number into v_next from memoria.faces
    where person_id = p_people[v_asked % cardinality(p_people) + 1] and media_number >= v_at
    order by media_number limit 1;
    if not found then
      return;
    end if;
    v_asked := v_asked + 1;
    v_agreed := case when v_next = v_at then v_agreed + 1 else 1 end;
    v_at := v_next;
    if v_agreed >= cardinality(p_people) then
      numbers := numbers || v_at;
      v_at := v_at + 1;
      v_agreed := 0;
    end if;
  end loop;
  go_on := v_at - 1;
end
$$;

create function memoria.photos_of_any(
  p_people uuid[], p_after bigint, p_limit integer, out numbers bigint[], out go_on bigint
)
language plpgsql stable set search_path = '' as $$
begin
  numbers := array(
    select distinct media_number from unnest(p_people) as person (id), lateral (
      select media_number from memoria.faces
      where person_id = person.id and media_number > p_after
      group by media_number order by media_number limit p_limit + 1
    ) as theirs
    order by media_number limit p_limit + 1
  );
  if cardinality(numbers) > p_limit then
    numbers := numbers[:p_limit];
    go_on := numbers[p_limit];
  end if;
end
$$;

-- The photos that show these people: all of them together, or any of them.
create function public.memoria_photos_with(
  p_event_id text,
  p_people uuid[],
  p_match text default 'all',
  p_after jsonb default null,
  p_limit integer default 100
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
  v_limit integer := memoria.page_limit(p_limit);
  v_after bigint := coalesce((p_after #>> '{}')::bigint, 0);
  v_people uuid[];
  v_page record;
begin
  perform memoria.authorize(p_event_id, 'view');
  if coalesce(cardinality(p_people), 0) not between 1 and 50 then
    raise exception 'p_people names 1 to 50 people.' using errcode = '22023';
  elsif p_match is null or p_match not in ('all', 'any') then
    raise exception 'p_match is all or any.' using errcode = '22023';
  end if;
  if exists (
    select from unnest(p_people) as wanted (id)
    where not exists (select from memoria.persons where persons.id = wanted.id and event_id = p_event_id)
  ) then
    perform memoria.refuse_unknown('person');
  end if;
  v_people := array(select distinct memoria.root_of(id) from unnest(p_people) as wanted (id));
  if p_match = 'all' then
    select * into v_page from memoria.photos_of_all(v_people, v_after, v_limit);
  else
    select * into v_page from memoria.photos_of_any(v_people, v_after, v_limit);
  end if;
  return jsonb_build_object(
    'event_id', p_event_id, 'version', memoria.people_version_of(p_event_id),
    'photos', (
      select coalesce(jsonb_agg(memoria.photo_with_faces(found.media, v_people) order by wanted.number), '[]')
      -- each by its key: PostgreSQL 16 reads the whole event to have them in order
      from unnest(v_page.numbers) as wanted (number), lateral (
        select media from memoria.media where event_id = p_event_id and media.number = wanted.number offset 0
      ) as found
    ),
    'next', v_page.go_on
  );
end
$$;

-- One photo with everybody in it.
create function public.memoria_photo(p_media_id text) returns jsonb
language plpgsql stable security definer
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_media memoria.media;
begin
  select * into v_media from memoria.media where id = p_media_id;
  perform memoria.authorize(v_media.event_id, 'view', 'photo');
  if v_media.id is null then
    perform memoria.refuse_unknown('photo');
  end if;
  return memoria.photo_with_faces(v_media) || jsonb_build_object(
    'event_id', v_media.event_id, 'version', memoria.version_of(v_media.event_id),
    'people', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'person_id', who.id, 'name', name, 'hidden', hidden, 'face_count', face_count
      ) order by face_count desc, who.id), '[]')
      from (
        select distinct person_id as id from memoria.faces where media_id = p_media_id
      ) as shown, lateral (
        select * from memoria.persons where persons.id = shown.id
        offset 0  -- each by its key
      ) as who
    )
  );
end
$$;

-- The photos of an event in the order in which they came, with their faces; no vectors.
create function public.memoria_media(
  p_event_id text, p_after jsonb default null, p_limit integer default 100, p_status text default null
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
  v_limit integer := memoria.page_limit(p_limit);
  v_after bigint := coalesce((p_after #>> '{}')::bigint, 0);
  v_page memoria.media[];
begin
  perform memoria.authorize(p_event_id, 'view');
  if p_status is null then
    v_page := array(
      select media from memoria.media
      where event_id = p_event_id and number > v_after order by number limit v_limit + 1
    );
  elsif p_status in ('pending', 'completed', 'failed') then
    v_page := array(
      select media from memoria.media
      where event_id = p_event_id and status = p_status and number > v_after order by number limit v_limit + 1
    );
  else
    raise exception 'p_status is pending, completed or failed.' using errcode = '22023';
  end if;
  return jsonb_build_object(
    'event_id', p_event_id, 'version', memoria.version_of(p_event_id),
    'media', (
      select coalesce(jsonb_agg(memoria.photo_with_faces(v_page[n]) order by n), '[]')
      from generate_series(1, least(cardinality(v_page), v_limit)) as n
    ),
    'next', case when cardinality(v_page) > v_limit then v_page[v_limit].number end
  );
end
$$;

-- The faces that are nobody's, in the order of their photos.
create function public.memoria_unassigned_faces(
  p_event_id text, p_after jsonb default null, p_limit integer default 100
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
  v_limit integer := memoria.page_limit(p_limit);
  v_after bigint := coalesce((p_after ->> 'number')::bigint, 0);
  v_after_id uuid := coalesce(memoria.as_uuid(p_after ->> 'face_id'), '00000000-0000-0000-0000-000000000000');
  v_page uuid[];
begin
  perform memoria.authorize(p_event_id, 'view');
  v_page := array(
    select id from memoria.faces
    where event_id = p_event_id and person_id is null and dismissed is null
      and (media_number, id) > (v_after, v_after_id)
    order by media_number, id limit v_limit + 1
  );
  return jsonb_build_object(
    'event_id', p_event_id, 'version', memoria.version_of(p_event_id),
    'faces', (
      select coalesce(jsonb_agg(
        memoria.face_cover(face.id) || jsonb_build_object('quality_score', quality) order by media_number, face.id
      ), '[]')
      -- each by its key: PostgreSQL 16 reads the loose faces of all events to have them in order
      from unnest(v_page[:v_limit]) as wanted (id), lateral (
        select * from memoria.faces where id = wanted.id offset 0
      ) as face
    ),
    'next', case when cardinality(v_page) > v_limit then (
      select jsonb_build_object('number', media_number, 'face_id', id)
      from memoria.faces where id = v_page[v_limit]
    ) end
  );
end
$$;
