-- Forgetting a person: vectors, links, name and history go at once. What stays is where not to look
-- again, so that processing a photo anew does not bring the face back.

create function public.memoria_forget_person(p_person_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_person memoria.persons;
  v_people uuid[];
  v_faces uuid[];
begin
  select * into v_person from memoria.persons where id = p_person_id;
  if not found then
    perform memoria.refuse_unknown('person');
  end if;
  -- an archived event still knows names: forgetting works there too
  perform memoria.authorize_event(v_person.event_id);
  perform memoria.lock_event(v_person.event_id);
  v_person := memoria.person_within(v_person.event_id, p_person_id);
  v_people := array(
    select id from memoria.persons where v_person.id in (id, merged_into)
  );
  v_faces := array(
    select id from memoria.faces
    where person_id = any (v_people) or identity_id = any (v_people)
      -- found again by a later model, and not looked at by a run since
      or id in (
        select face_id from memoria.corrections where kind = 'pin' and person_id = any (v_people)
      )
  );

  insert into memoria.forgotten_faces (event_id, media_id, x, y, w, h)
  select event_id, media_id, x, y, w, h from memoria.faces where id = any (v_faces)
  union all
  -- a pinned face that a later model missed may be found again by the next
  select event_id, media_id, x, y, w, h from memoria.corrections
  where kind = 'pin' and person_id = any (v_people) and face_id <> all (v_faces);
  delete from memoria.corrections where face_id = any (v_faces);
  update memoria.media set faces_detected = faces_detected - gone.faces
  from (
    select media_id, count(*) as faces from memoria.faces where id = any (v_faces) group by media_id
  ) as gone
  where media.id = gone.media_id;
  delete from memoria.faces where id = any (v_faces);
  delete from memoria.person_changes
  where person_id = any (v_people) or other_person_id = any (v_people);
  delete from memoria.persons where id = any (v_people);
  perform memoria.refresh_people(v_person.event_id);
  return jsonb_build_object('person_id', v_person.id, 'faces_forgotten', cardinality(v_faces));
end
$$;

revoke all on function public.memoria_forget_person(uuid) from public, anon;
grant execute on function public.memoria_forget_person(uuid) to authenticated, service_role;
