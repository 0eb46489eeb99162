-- Addressees have notices of their own to wait for, and one of whom nothing is sent must not stand before the others.
DROP INDEX notice_waiting;
CREATE INDEX notice_waiting ON notice (addressee, number) WHERE mail_id IS NULL;
