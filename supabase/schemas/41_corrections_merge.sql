-- Who is one person, and who is not.

-- The chosen cover of one is the first that somebody has, in the order in which they are named.
create function memoria.keep_first_cover(inout c memoria.changes, p_people uuid[])
language plpgsql set search_path = '' as $$
declare
  v_ids constant uuid[] := memoria.ids_of(p_people);
begin
  c := memoria.withdraw_covers(c, p_people, (
    select id from memoria.corrections
    where kind = 'cover' and withdrawn_by is null and person_id = any (v_ids)
    order by array_position(p_people, memoria.root_of(person_id)), id desc limit 1
  ));
end
$$;

-- Likewise the name.
create function memoria.keep_first_name(inout c memoria.changes, p_into uuid, p_from uuid[])
language plpgsql set search_path = '' as $$
declare
  v_all uuid[] := p_into || p_from;
begin
  c := memoria.set_value(c, 'name/' || p_into, (
    select to_jsonb(name) from memoria.persons where id = any (v_all) and name is not null
    order by array_position(v_all, id) limit 1
  ));
  if c.after ? ('name/' || p_into) then
    c.relies_on := c.relies_on || array(select 'name/' || person from unnest(p_from) as person);
  end if;
end
$$;

-- Who was told apart is one now: the last word counts.
create function memoria.no_longer_apart(inout c memoria.changes, p_people uuid[])
language plpgsql set search_path = '' as $$
declare
  v_ids constant uuid[] := memoria.ids_of(p_people);
begin
  c := memoria.set_value_of_all(c, array(
    select 'apart/' || one_id || '/' || other_id from memoria.distinct_people
    where one_id = any (v_ids) and other_id = any (v_ids)
  ), 'false');
end
$$;

-- "Not this person", said of a face of one of these people to another of them, counts no more. A pin
-- counts for its face also while no model finds that face.
create function memoria.withdraw_rejections(inout c memoria.changes, p_people uuid[])
language plpgsql set search_path = '' as $$
declare
  v_ids constant uuid[] := memoria.ids_of(p_people);
begin
  with withdrawn as (
    update memoria.corrections as said set withdrawn_by = c.id
    where said.kind = 'reject' and said.withdrawn_by is null and said.person_id = any (v_ids) and (
        said.face_id in (select id from memoria.faces where person_id = any (p_people))
        or exists (
          select from memoria.corrections as pin
          where pin.kind = 'pin' and pin.withdrawn_by is null and pin.face_id = said.face_id
            and memoria.root_of(pin.person_id) = any (p_people)
        )
      )
    returning id
  )
  select c.withdrew || array(select id from withdrawn order by id) into c.withdrew;
end
$$;

-- These people become one.
create function memoria.merge(inout c memoria.changes, p_into uuid, p_from uuid[])
language plpgsql set search_path = '' as $$
declare
  v_all uuid[] := p_into || p_from;
begin
  c := memoria.withdraw_rejections(c, v_all);
  c := memoria.keep_first_cover(c, v_all);
  for i in 1 .. cardinality(p_from) loop
    c := (
      select memoria.set_value_of_all(c, array_agg('merged/' || id order by id), to_jsonb(p_into))
      from unnest(memoria.ids_of(p_from[i:i])) as id
    );
  end loop;
  c := memoria.keep_first_name(c, p_into, p_from);
  c := memoria.no_longer_apart(c, v_all);
  c.touches := c.touches || array(select 'who/' || person from unnest(v_all) as person);
  c := memoria.rests_on_people(c, v_all);
  c.faces := (select sum(face_count) from memoria.persons where id = any (p_from));
end
$$;

create function public.memoria_merge_people(p_into uuid, p_from uuid[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_into memoria.persons := memoria.lock_person(p_into);
  v_person uuid;
  v_from uuid[] := '{}';
  v_change bigint;
begin
  if coalesce(cardinality(p_from), 0) not between 1 and 100 then
    raise exception 'p_from names 1 to 100 people.' using errcode = '22023';
  end if;
  foreach v_person in array p_from loop
    v_person := (memoria.person_within(v_into.event_id, v_person)).id;
    if v_person <> v_into.id and v_person <> all (v_from) then
      v_from := v_from || v_person;
    end if;
  end loop;
  if cardinality(v_from) > 0 then
    v_change := memoria.finish_change(memoria.merge(
      memoria.begin_change(v_into.event_id, 'merged', v_into.id, v_from[1]), v_into.id, v_from
    ));
  end if;
  return jsonb_build_object('person_id', v_into.id) || memoria.told(v_change, p_into, v_into.id);
end
$$;

-- These two are not one person, whatever a run makes of them.
create function memoria.tell_apart(inout c memoria.changes, p_one uuid, p_other uuid)
language plpgsql set search_path = '' as $$
begin
  c := memoria.set_value(c, 'apart/' || array_to_string(memoria.pair_of(p_one, p_other), '/'), 'true');
  c := memoria.rests_on_people(c, array[p_one, p_other], true);
end
$$;

create function public.memoria_tell_apart(p_a uuid, p_b uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_one memoria.persons := memoria.lock_person(p_a);
  v_other memoria.persons := memoria.person_within(v_one.event_id, p_b);
begin
  if v_one.id = v_other.id then
    raise exception 'These are one person: split the person, or take the merge back.' using errcode = 'PT409';
  end if;
  return jsonb_build_object('person_id', v_one.id, 'other_person_id', v_other.id, 'change_id',
    memoria.finish_change(memoria.tell_apart(
      memoria.begin_change(v_one.event_id, 'told_apart', v_one.id, v_other.id), v_one.id, v_other.id
    ))
  );
end
$$;
