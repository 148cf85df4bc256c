# A coordinator of Citus and two workers, on loopback addresses, with pg_journey.
package CitusCluster;
use strict;
use warnings;
use Exporter 'import';
use PgJourney;
use PostgreSQL::Test::Cluster;

our @EXPORT = qw(start_citus);

# Returns the coordinator and the workers
sub start_citus
{
	my @nodes = map {
		my $node = PostgreSQL::Test::Cluster->new($_);
		$node->init(extra => [ '--encoding=UTF8', '--locale=C', '-A', 'trust' ]);
		$node->append_conf('postgresql.conf', <<"END");
listen_addresses = '127.0.0.1'
shared_preload_libraries = 'citus'
citus.shard_count = 8
citus.recover_2pc_interval = -1
citus.node_connection_timeout = '3s'
max_prepared_transactions = 100
max_connections = 200
max_locks_per_transaction = 400
fsync = off
jit = off
log_statement = none
log_min_duration_statement = 1000
END
		$node->start;
		sql($node, 'CREATE EXTENSION citus');
		$node
	} qw(coordinator worker1 worker2);
	my ($coordinator, @workers) = @nodes;
	sql($coordinator, join '', "SELECT citus_set_coordinator_host('127.0.0.1', " . $coordinator->port . ");\n",
		map { "SELECT citus_add_node('127.0.0.1', " . $_->port . ");\n" } @workers);
	sql($coordinator, 'CREATE EXTENSION pg_journey');
	return @nodes;
}

1;
