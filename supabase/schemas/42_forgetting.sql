-- Forgetting a person: vectors, links, name and history go at once, and everything that was derived from
-- them. What stays is where not to look again, so that no photo of the same picture brings the face back.

-- What users said of faces and people that are going, with every change that tells of it: what is
-- forgotten cannot be brought back by an undo, and history names nobody. The event is locked.
create function memoria.purge_changes(p_event_id text, p_people uuid[], p_face_ids uuid[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_said bigint[];
begin
  with gone as (
    delete from memoria.corrections where face_id = any (p_face_ids) or person_id = any (p_people)
    returning id
  )
  select array(select id from gone) into v_said;
  delete from memoria.changes
  where event_id = p_event_id and (
    id in (select change_id from memoria.change_people where person_id = any (p_people))
    or (
      cardinality(held || withdrew) > 0 and held || withdrew <@ v_said
      -- who was merged with whom of the others stays, and can be taken back
      and not exists (select from jsonb_object_keys(after) as key where key like 'merged/%')
    )
  );
  delete from memoria.suggestions
  where event_id = p_event_id and (people && p_people or face_id = any (p_face_ids) or exists (
    select from jsonb_array_elements(evidence) as shown
    where (shown ->> 'face_id')::uuid = any (p_face_ids) or (shown ->> 'other_face_id')::uuid = any (p_face_ids)
  ));
  perform memoria.count_suggestions(p_event_id);
  update memoria.corrections set was = null where event_id = p_event_id and was = any (p_people);
end
$$;

-- What was made of faces and people that are gone. Whatever keeps more of them (audits, outcomes) is
-- purged here, too. The event is locked.
create function memoria.purge_derived(p_event_id text, p_people uuid[], p_face_ids uuid[], p_media_ids text[])
returns void
language plpgsql set search_path = '' as $$
begin
  update memoria.searches set
    people = array(select person from unnest(people) as person where person <> all (p_people)),
    loose_faces = array(select face from unnest(loose_faces) as face where face <> all (p_face_ids))
  where event_id = p_event_id and (people && p_people or loose_faces && p_face_ids);
  -- outcomes that the app was not told yet
  update memoria.jobs set payload = payload || jsonb_build_object(
    'faces_detected', (select count(*) from memoria.faces where media_id = jobs.media_id and detected),
    'faces', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'bbox', memoria.face_box(faces), 'quality_score', quality,
        'landmarks', memoria.named_landmarks(landmarks)
      ) order by created_at, id), '[]')
      from memoria.faces where media_id = jobs.media_id and detected
    )
  )
  where event_id = p_event_id and kind = 'callback' and media_id = any (p_media_ids)
    and payload ->> 'status' = 'completed';
  update memoria.jobs set payload = payload || memoria.people_summary(p_event_id)
  where event_id = p_event_id and kind = 'callback' and media_id is null
    and payload ->> 'status' = 'completed';
  -- a mean over the forgotten and the others would give the forgotten away
  update memoria.persons set centroid = null, centroid_faces = null, mean_length = null
  where event_id = p_event_id and centroid is not null
    and not exists (select from memoria.faces where identity_id = persons.id);
  perform memoria.refresh_centroids(memoria.people_of_event(p_event_id));
end
$$;

-- The same faces on copies of their photos, byte for byte, whosever they are there. Each is looked up by its key:
-- without statistics a join compares all photos with all.
create function memoria.faces_on_copies(p_event_id text, p_face_ids uuid[]) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select distinct copied.id
    from memoria.faces as face
    join memoria.media as shown on shown.id = face.media_id
    cross join lateral (
      select id from memoria.media
      where event_id = p_event_id and digest = shown.digest and id <> shown.id offset 0
    ) as copy
    cross join lateral (select * from memoria.faces where media_id = copy.id offset 0) as copied
    where face.id = any (p_face_ids) and copied.id <> all (p_face_ids) and memoria.iou(
      face.x, face.y, face.w, face.h, copied.x, copied.y, copied.w, copied.h
    ) >= 0.5
  )
$$;

create function public.memoria_forget_person(p_person_id uuid) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_person memoria.persons;
  v_people uuid[];
  v_faces uuid[];
  v_media text[];
  v_event memoria.events;
begin
  -- an archived event still knows names: forgetting works there too
  v_event := memoria.lock_event_for(
    (select event_id from memoria.persons where id = p_person_id), 'manage', 'person'
  );
  v_person := memoria.person_within(v_event.id, p_person_id);
  perform memoria.check_id_of_today(p_person_id, v_person);
  v_people := memoria.ids_of(array[v_person.id]);
  v_faces := array(
    select id from memoria.faces
    where event_id = v_event.id and (
      person_id = any (v_people) or identity_id = any (v_people)
      -- found again by a later model, and not looked at by a run since
      or id in (
        select face_id from memoria.corrections
        where kind = 'pin' and withdrawn_by is null and person_id = any (v_people)
      )
    )
  );
  v_faces := v_faces || memoria.faces_on_copies(v_event.id, v_faces);
  v_media := array(select distinct media_id from memoria.faces where id = any (v_faces));

  insert into memoria.forgotten_faces (event_id, picture, x, y, w, h)
  select v_event.id, coalesce(media.digest, 'media:' || media.id), box.x, box.y, box.w, box.h
  from (
    select media_id, x, y, w, h from memoria.faces where id = any (v_faces)
    union all
    -- a pinned face that a later model missed may be found again by the next
    select media_id, x, y, w, h from memoria.corrections
    where kind = 'pin' and withdrawn_by is null and person_id = any (v_people) and face_id <> all (v_faces)
  ) as box join memoria.media on media.id = box.media_id;
  perform memoria.purge_changes(v_event.id, v_people, v_faces || array(
    select face_id from memoria.corrections
    where kind = 'pin' and withdrawn_by is null and person_id = any (v_people)
  ));
  update memoria.media set faces_detected = faces_detected - gone.faces
  from (
    select media_id, count(*) as faces from memoria.faces where id = any (v_faces) and detected group by media_id
  ) as gone
  where media.id = gone.media_id;
  delete from memoria.faces where id = any (v_faces);
  delete from memoria.persons where id = any (v_people);
  perform memoria.refresh_people(memoria.people_of_event(v_event.id));
  perform memoria.purge_derived(v_event.id, v_people, v_faces, v_media);
  insert into memoria.changes (event_id, kind, made_by)
  values (v_event.id, 'forgotten', (select auth.uid()));
  perform memoria.touch_people(v_event.id);
  perform memoria.touch_photos(v_event.id);
  if v_event.status = 'open' then
    -- groups that held together by the forgotten faces fall apart without them
    perform memoria.settle_event(v_event.id);
  end if;
  return jsonb_build_object('person_id', v_person.id, 'faces_forgotten', cardinality(v_faces));
end
$$;
