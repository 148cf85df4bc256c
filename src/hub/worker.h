/*
 * worker.h
 *		Background workers: src/hub/worker.c.
 */
#ifndef PGJ_WORKER_H
#define PGJ_WORKER_H

/* For _PG_init(): defines pg_journey.worker and registers the launcher, if the library is being preloaded */
extern void journey_register_workers(void);

#endif							/* PGJ_WORKER_H */
