-- What the sweeper ends: audit rows and links whose time is over, and events that are to be archived.

-- Nobody is waited for, and one sweep ends: what is left is the next one's.
create function memoria.prune_searches() returns void
language sql set search_path = '' as $$
  delete from memoria.searches where id in (
    select id from memoria.searches
    where created_at < now() - make_interval(days => memoria.number('keep_searches_days')::integer)
      -- a host has as long to see that a guest asks to be taken out
      and greatest(created_at, removal_requested_at)
        < now() - make_interval(days => memoria.number('keep_searches_days')::integer)
    order by created_at limit 10000 for update skip locked
  );
  delete from memoria.search_links where id in (
    select id from memoria.search_links
    where expires_at < now() - make_interval(days => memoria.number('keep_searches_days')::integer)
      and not exists (select from memoria.searches where link_id = search_links.id offset 0)
    order by expires_at limit 10000 for update skip locked
  );
$$;

-- One event at a time, so that a sweep never holds the locks of many.
create function memoria.archive_one_due() returns integer
language plpgsql set search_path = '' as $$
declare
  v_event_id text;
begin
  select id into v_event_id from memoria.events
  where archive_at <= now() and status <> 'archived'
  order by archive_at limit 1 for no key update skip locked;
  if v_event_id is null then
    return 0;
  end if;
  perform public.memoria_archive_event(v_event_id);
  return 1;
end
$$;
