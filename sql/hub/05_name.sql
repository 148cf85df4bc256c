-- The name that the hub's functions were made for, which is the schema's unless somebody has renamed that. The language
-- journey_plpgsql asks it where a function qualifies its names, because it commits or is called often, and so has no
-- search_path.
CREATE OR REPLACE FUNCTION @hub@.made_for() RETURNS name
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    RETURN current_schema();
END $$;
COMMENT ON FUNCTION @hub@.made_for() IS 'name of the hub; an error if it was renamed, but not by journey_rename_hub';
