\echo Use "CREATE EXTENSION pg_journey" to load this file. \quit
