-- The owners of links made before share_links.owner_id. Since then a trigger fills it.

UPDATE share_links SET owner_id = files.owner_id FROM files
WHERE files.id = share_links.file_id AND share_links.owner_id IS NULL;
