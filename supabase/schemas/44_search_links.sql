-- Who may search: links for many guests, and tokens for one signed-in guest.

-- A number of the options, within its limits. Raises 22023, naming it.
create function memoria.search_option(
  p_options jsonb, p_name text, p_default integer, p_least integer, p_most integer
) returns integer
language plpgsql immutable set search_path = '' as $$
declare
  v_value jsonb := p_options -> p_name;
begin
  if v_value is null or v_value = 'null' then
    return p_default;
  elsif jsonb_typeof(v_value) <> 'number' or v_value::numeric not between p_least and p_most
    or v_value::numeric <> trunc(v_value::numeric) then
    raise exception '% must be a whole number from % to %.', p_name, p_least, p_most using errcode = '22023';
  end if;
  return v_value::numeric::integer;
end
$$;

-- 32 random bytes as text: two random uuids carry 244 random bits, hashed to spread them.
create function memoria.new_token() returns text
language sql volatile set search_path = '' as $$
  select translate(
    encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'), '+/=', '-_'
  )
$$;

create function memoria.token_hash(p_token text) returns bytea
language sql immutable set search_path = '' as $$
  select sha256(convert_to(p_token, 'UTF8'))
$$;

-- What is kept of a guest: which one it is cannot be read from it, and not compared between events. Null
-- for nobody in particular.
create function memoria.guest_hash(p_event_id text, p_guest text) returns bytea
language sql immutable strict set search_path = '' as $$
  select sha256(convert_to(jsonb_build_array(p_event_id, p_guest)::text, 'UTF8'))
$$;

create function public.memoria_create_search_link(p_event_id text, p_options jsonb default '{}')
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_token text := memoria.new_token();
  v_unknown text;
  v_link memoria.search_links;
begin
  perform memoria.lock_open_event(p_event_id, 'manage');
  if jsonb_typeof(p_options) <> 'object' then
    raise exception 'p_options must be an object.' using errcode = '22023';
  end if;
  select name into v_unknown from jsonb_object_keys(p_options) as name
  where name not in ('expires_in_hours', 'max_searches', 'per_guest', 'people_per_guest', 'maybe', 'label')
  limit 1;
  if v_unknown is not null then
    raise exception 'There is no option %.', v_unknown using errcode = '22023';
  elsif jsonb_typeof(p_options -> 'maybe') <> 'boolean' then
    raise exception 'maybe must be a boolean.' using errcode = '22023';
  elsif jsonb_typeof(p_options -> 'label') not in ('string', 'null')
    or char_length(p_options ->> 'label') not between 1 and 200 then
    raise exception 'label must be a text of 1 to 200 characters.' using errcode = '22023';
  end if;
  insert into memoria.search_links (
    event_id, token_hash, label, created_by, expires_at, max_searches, per_guest, people_per_guest, maybe
  ) values (
    p_event_id, memoria.token_hash(v_token), p_options ->> 'label', (select auth.uid()),
    clock_timestamp() + make_interval(hours => memoria.search_option(p_options, 'expires_in_hours', 168, 1, 8760)),
    memoria.search_option(p_options, 'max_searches', 500, 1, 1000000),
    memoria.search_option(p_options, 'per_guest', 10, 1, 1000),
    memoria.search_option(p_options, 'people_per_guest', 3, 1, 100),
    coalesce((p_options ->> 'maybe')::boolean, false)
  ) returning * into v_link;
  return jsonb_build_object('link_id', v_link.id, 'token', v_token, 'expires_at', v_link.expires_at);
end
$$;

-- For one signed-in (or anonymous, but known to Auth) guest, for a quarter of an hour.
create function public.memoria_open_search(p_event_id text, p_consent text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_token text := memoria.new_token();
  v_user uuid := (select auth.uid());
  v_link memoria.search_links;
begin
  perform memoria.lock_open_event(p_event_id, 'search');
  if v_user is null then
    perform memoria.refuse_unknown('event');
  elsif p_consent is distinct from memoria.setting('search_consent_version') #>> '{}' then
    raise exception 'Consent to the current text is required.'
    using errcode = 'PT403', detail = '{"code": "consent_required"}';
  elsif (
    select count(*) from memoria.search_links
    where event_id = p_event_id and user_id = v_user and created_at > clock_timestamp() - interval '15 minutes'
  ) >= 20 then
    raise exception 'Enough searches were opened: try again in some minutes.' using errcode = 'PT429';
  end if;
  insert into memoria.search_links (
    event_id, token_hash, user_id, created_by, expires_at, max_searches, per_guest, people_per_guest
  ) values (
    p_event_id, memoria.token_hash(v_token), v_user, v_user,
    clock_timestamp() + interval '15 minutes', 10, 10, 3
  ) returning * into v_link;
  return jsonb_build_object(
    'token', v_token, 'expires_at', v_link.expires_at, 'search_consent_version', p_consent
  );
end
$$;

-- The links that many share, newest first.
create function public.memoria_search_links(
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
  v_before timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id uuid := coalesce(memoria.as_uuid(p_after ->> 'link_id'), '00000000-0000-0000-0000-000000000000');
  v_page memoria.search_links[];
begin
  perform memoria.authorize(p_event_id, 'manage');
  v_page := array(
    select search_links from memoria.search_links
    where event_id = p_event_id and user_id is null and (created_at, id) < (v_before, v_before_id)
    order by created_at desc, id desc limit v_limit + 1
  );
  return jsonb_build_object(
    'event_id', p_event_id,
    'search_consent_version', memoria.setting('search_consent_version'),
    'links', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'link_id', id, 'label', label, 'created_at', created_at, 'expires_at', expires_at,
        'revoked_at', revoked_at, 'max_searches', max_searches, 'per_guest', per_guest,
        'people_per_guest', people_per_guest, 'maybe', maybe, 'searches', searches
      ) order by created_at desc, id desc), '[]')
      from unnest(v_page[:v_limit])
    ),
    'next', case when cardinality(v_page) > v_limit then jsonb_build_object(
      'created_at', v_page[v_limit].created_at, 'link_id', v_page[v_limit].id
    ) end
  );
end
$$;

-- Revoking ends what the link opened at once; again changes nothing.
create function public.memoria_revoke_search_link(p_link_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event_id text;
  v_revoked timestamptz;
begin
  select event_id into v_event_id from memoria.search_links where id = p_link_id;
  if v_event_id is null then
    perform memoria.refuse_unknown('link');
  end if;
  perform memoria.authorize(v_event_id, 'manage', 'link');
  update memoria.search_links set revoked_at = coalesce(revoked_at, clock_timestamp())
  where id = p_link_id returning revoked_at into v_revoked;
  return jsonb_build_object('link_id', p_link_id, 'revoked_at', v_revoked);
end
$$;

-- The faces that belonged to nobody when a search found them. A photo that went to another event keeps its faces'
-- ids, and is no longer this one's.
create function memoria.loose_faces_of(p_search memoria.searches) returns setof memoria.faces
language sql stable set search_path = '' as $$
  select * from memoria.faces where id = any (p_search.loose_faces) and event_id = p_search.event_id
$$;

-- The faces that a guest who asks to be taken out was found by, and that were nobody's then: whose they are now.
create function memoria.faces_to_take_out(p_search memoria.searches) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(
    memoria.face_cover(faces.id) || jsonb_build_object('person_id', person_id) order by media_number, faces.id
  ), '[]')
  from memoria.loose_faces_of(p_search) as faces
  where p_search.removal_requested_at is not null and dismissed is null
$$;

-- Whom a search found, as whom they are shown today.
create function memoria.people_found(p_search memoria.searches) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select memoria.root_of(person) as root from unnest(p_search.people) with ordinality as found (person, place)
    group by root order by min(place)
  )
$$;

-- The audit: first who asks to be taken out, then newest first.
create function public.memoria_searches(p_event_id text, p_limit integer default 100) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  v_limit integer := least(greatest(coalesce(p_limit, 100), 1), 1000);
begin
  perform memoria.authorize(p_event_id, 'manage');
  return jsonb_build_object('event_id', p_event_id, 'searches', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'search_id', id, 'link_id', link_id, 'guest', left(encode(guest, 'hex'), 12),
      'created_at', created_at, 'consent', consent, 'outcome', outcome, 'people', memoria.people_found(shown),
      'loose_faces', cardinality(loose_faces), 'removal_requested_at', removal_requested_at,
      'take_out', memoria.faces_to_take_out(shown)
    ) order by removal_requested_at desc nulls last, created_at desc, id), '[]')
    from (
      select * from (
        (
          select * from memoria.searches
          where event_id = p_event_id and removal_requested_at is not null
          order by removal_requested_at desc, id limit v_limit
        )
        union all
        (
          select * from memoria.searches
          where event_id = p_event_id and removal_requested_at is null
          order by created_at desc, id limit v_limit
        )
      ) as either
      order by removal_requested_at desc nulls last, created_at desc, id limit v_limit
    ) as shown
  ));
end
$$;

-- After so many days the sweeper archives the event; null takes that back.
create function public.memoria_set_retention(p_event_id text, p_days integer) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_at timestamptz;
begin
  perform memoria.lock_open_event(p_event_id, 'manage');
  if p_days not between 1 and 3650 then
    raise exception 'p_days must be from 1 to 3650, or null.' using errcode = '22023';
  end if;
  update memoria.events set
    archive_at = now() + make_interval(days => p_days),
    archive_time_by = case when p_days is not null then (select auth.uid()) end
  where id = p_event_id returning archive_at into v_at;
  return jsonb_build_object('event_id', p_event_id, 'archive_at', v_at);
end
$$;
