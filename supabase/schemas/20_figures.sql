-- What is kept beside people so that lists need not count: faces, cover, mean vector.

-- The person that people see: merges made by users are kept one level deep.
create function memoria.root_of(p_person_id uuid) returns uuid
language sql stable set search_path = '' as $$
  select coalesce(merged_into, id) from memoria.persons where id = p_person_id
$$;

-- The ids that are these people: theirs, and of whom was merged into them. Each by its key.
create function memoria.ids_of(p_people uuid[]) returns uuid[]
language sql stable set search_path = '' set enable_seqscan = off as $$
  select array(
    select id from memoria.persons where id = any (p_people)
    union
    select id from memoria.persons where merged_into = any (p_people)
  )
$$;

create function memoria.people_of_event(p_event_id text) returns uuid[]
language sql stable set search_path = '' as $$
  select array(select id from memoria.persons where event_id = p_event_id)
$$;

-- How many people lists show: named ones also while they have no faces; and how many more with the hidden.
create function memoria.people_counts(p_event_id text, out shown bigint, out hidden bigint)
language sql stable set search_path = '' as $$
  select count(*) filter (where not persons.hidden), count(*) filter (where persons.hidden)
  from memoria.persons
  where event_id = p_event_id and merged_into is null and (face_count > 0 or name is not null)
$$;

-- The face that a user chose for a person to be shown by, while it is theirs. Of a merged person's covers
-- one holds.
create function memoria.chosen_cover(p_person_id uuid) returns uuid
language sql stable set search_path = '' as $$
  select faces.id
  from memoria.persons as person
  join memoria.corrections as said on said.person_id = person.id
  join memoria.faces on faces.id = said.face_id and faces.person_id = p_person_id
  where (person.id = p_person_id or person.merged_into = p_person_id)
    and said.kind = 'cover' and said.withdrawn_by is null
  order by said.id desc limit 1
$$;

-- The figures of these people, from their faces. A representative that is no longer theirs gives way to
-- their best face; what a user chose wins. What it reads lies under keys, whatever the planner knows.
create function memoria.refresh_people(p_people uuid[]) returns void
language sql set search_path = '' set enable_seqscan = off set jit = off as $$
  with counted as (
    select persons.id, theirs.*
    -- each by its key: joined, PostgreSQL 16 reads the faces of all events before anybody analyzes
    from memoria.persons cross join lateral (
      select count(*) as face_count, avg(quality)::real as avg_quality,
        bool_or(faces.id = persons.representative_face_id) as keeps_cover
      from memoria.faces where person_id = persons.id
    ) as theirs
    where persons.id = any (p_people)
  ), figures as (
    select counted.*, coalesce(
      memoria.chosen_cover(counted.id),
      case
        when keeps_cover then persons.representative_face_id
        else (select id from memoria.faces where person_id = counted.id order by quality desc, id limit 1)
      end
    ) as cover
    from counted join memoria.persons using (id)
  )
  update memoria.persons
  set face_count = figures.face_count,
    avg_quality = figures.avg_quality,
    representative_face_id = figures.cover,
    cluster_label = case when figures.face_count > 0 then cluster_label end
  from figures
  where persons.id = figures.id
    and (persons.face_count, persons.avg_quality, persons.representative_face_id)
      is distinct from (figures.face_count, figures.avg_quality, figures.cover)
$$;

-- Labels count from 0, largest person first, as of the run that gives them.
create function memoria.relabel_people(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.persons set cluster_label = ranked.label
  from (
    select id, case when face_count > 0 then
      row_number() over (order by face_count desc, created_at, id) - 1
    end as label
    from memoria.persons where event_id = p_event_id
  ) as ranked
  where persons.id = ranked.id and persons.cluster_label is distinct from ranked.label
$$;

-- The mean vector of each of these identities, of the model that most of its faces have. Computed here
-- alone: a mean that a worker made of vectors that were forgotten meanwhile would give them away.
create function memoria.refresh_centroids(p_people uuid[]) returns void
language sql set search_path = '' set enable_seqscan = off set jit = off as $$
  update memoria.persons set centroid = means.centroid, centroid_faces = means.faces,
    mean_length = means.mean_length, model = coalesce(means.model, persons.model)
  from (
    select person.id, mean.model, mean.faces, extensions.l2_normalize(mean.vector) as centroid,
      extensions.vector_norm(mean.vector) as mean_length
    from unnest(p_people) as person (id) left join lateral (
      select model, count(*) as faces, extensions.avg(embedding) as vector
      from memoria.faces where identity_id = person.id and embedding is not null
      group by model order by count(*) desc, model limit 1
    ) as mean on true
  ) as means
  where persons.id = means.id and (persons.centroid is not null or means.centroid is not null)
$$;

-- Of these people, those go who have no faces left and whom no user touched, or nothing of that can be
-- taken back any more.
create function memoria.drop_empty_people(p_people uuid[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_event_id constant text := (select event_id from memoria.persons where id = any (p_people) limit 1);
  v_gone uuid[];
begin
  with gone as (
    delete from memoria.persons
    where id = any (p_people)
      and name is null and not hidden and merged_into is null
      and not exists (select from memoria.faces where identity_id = persons.id)
      and not exists (select from memoria.persons as merged where merged.merged_into = persons.id)
      and not exists (select from memoria.corrections where person_id = persons.id)
      and not exists (
        select from memoria.distinct_people where one_id = persons.id
        union all
        select from memoria.distinct_people where other_id = persons.id
      )
      and not exists (
        select from memoria.change_people join memoria.changes on changes.id = change_people.change_id
        where change_people.person_id = persons.id and changes.before is not null
      )
    returning id
  )
  select array(select id from gone) into v_gone;
  -- an id that a later run makes again may be somebody else: no search answers with it. A statement
  -- of its own, which sees what a search noted that the deletion waited for.
  if cardinality(v_gone) > 0 then
    update memoria.searches
    set people = array(select person from unnest(people) as person where person <> all (v_gone))
    where event_id = v_event_id and people && v_gone;
  end if;
end
$$;
