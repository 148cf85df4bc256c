# What the TAP tests share: a server with the extension, seeded random journeys,
# and a second implementation of the binary and text forms, independent of the
# one under test, that says what any sequence of bytes must be read as.
#
# A touchpoint here is [time, channel, action, value, ref, detail]: time in microseconds
# since 2000-01-01 UTC, names in bytes, value as [mantissa, scale] or undef, detail
# undef or empty where there is none.
package PgJourney;
use strict;
use warnings;
use Exporter 'import';
use Math::BigInt;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_server slowly sql cpu_of cancelled_after run_script crashes any encode decode journey_text
  random_journey mutate copy_file read_copy write_bytes parallel_settings);
our $SEED = $ENV{PGJ_SEED} || 1;

# A letter in valid UTF-8, but for the zero byte
my $LETTER = qr/[\x01-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]
    |[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}
    |\xf4[\x80-\x8f][\x80-\xbf]{2}/x;

use constant {
    MIN_TIME => -211813488000000000,
    END_TIME => 9223371331200000000,
    MAX_DIGITS => 18,
};

# A new server with the extension in the database postgres
sub start_server
{
    my ($name, %option) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(extra => [ '--encoding=UTF8', '--locale=C' ], %option);
    $node->append_conf('postgresql.conf', "log_statement = none\njit = off\n");
    $node->start;
    sql($node, 'CREATE EXTENSION pg_journey');
    note "seed $SEED";
    srand($SEED);
    return $node;
}

# How long a random test is: in "make test", and in "make slowtest"
sub slowly { my ($quick, $slow) = @_; return $ENV{PGJ_SLOW} ? $slow : $quick }

# The answer to SQL in the database postgres; dies of an error
sub sql
{
    my ($node, $query) = @_;
    return $node->safe_psql('postgres', $query);
}

# The processor time that statements take in one session, in ticks, and what went wrong: no matter how busy the machine is.
# A statement may be [text, ticks after which it is cancelled, counted by the clock, so after as many at most].
sub cpu_of
{
    my ($node, @statements) = @_;
    my $ms = 1000 / POSIX::sysconf(POSIX::_SC_CLK_TCK());
    my $ticks = q{SELECT split_part(s, ' ', 12)::bigint + split_part(s, ' ', 13)::bigint AS ticks
                  FROM regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', '') s};
    my $script = "\\set VERBOSITY verbose\n$ticks \\gset begin_\n";
    for (@statements)
    {
        my ($query, $after) = ref ? @$_ : ($_, 0);
        $script .= 'SET statement_timeout = ' . int($after * $ms) . ";\n\\o /dev/null\n$query;\n\\o\nSET statement_timeout = 0;\n"
          . "$ticks \\gset end_\n\\echo :end_ticks - :begin_ticks\n\\set begin_ticks :end_ticks\n";
    }
    my ($status, $out, $error) = $node->psql('postgres', $script, on_error_stop => 0, on_error_die => 0);
    return ([ map { /(\d+) - (\d+)/ ? $1 - $2 : () } split /\n/, $out ], $error);
}

# A statement that is cancelled after a part of the processor time that it, or another one, takes must end then: it takes
# no more than a third of the whole beyond that.
sub cancelled_after
{
    my ($node, $name, $part, $query, $whole) = @_;
  SKIP:
    {
        skip 'no /proc to read processor time from', 2 if !-e "/proc/$$/stat";
        my ($took) = cpu_of($node, $whole // $query);
        my ($used, $error) = cpu_of($node, [ $query, $part * $took->[0] ]);
        like($error, qr/ERROR:  57014: canceling statement due to statement timeout/, "$name: cancelled after $part of $took->[0] ticks");
        cmp_ok($used->[0], '<=', ($part + 0.34) * $took->[0] + 5, "$name: that was $used->[0] ticks");
    }
}

# Runs a file of SQL, whose answers nobody wants; false if there was an error
sub run_script
{
    my ($node, $path) = @_;
    return run_log([ 'psql', '-Xq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'),
            '-f', $path ]);
}

# Settings under which the planner takes workers for however few rows
sub parallel_settings
{
    my ($node) = @_;
    my $force = sql($node, 'SHOW server_version_num') < 160000 ? 'force_parallel_mode' : 'debug_parallel_query';
    return "SET $force = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
      . ' SET max_parallel_workers_per_gather = 3;';
}

# What the server's log says of crashed processes
sub crashes
{
    my ($node) = @_;
    return join "\n", grep { /terminated by signal|TRAP:|server process .* exited|PANIC/ }
      split /\n/, slurp_file($node->logfile);
}

sub any { return $_[ int rand @_ ] }

# The bytes of journey_send(). Labels are numbered as the touchpoints come.
sub encode
{
    my @touchpoints = @_;
    my (%number, $labels, $points);
    $labels = $points = '';
    for my $t (@touchpoints)
    {
        my ($time, $channel, $action, $value, $ref, $detail) = @$t;
        my $label = pack('(N/a)3', $channel, $action, $detail // '');
        if (!exists $number{$label})
        {
            my $next = keys %number;
            $number{$label} = $next;
            $labels .= $label;
        }
        $points .= pack('N q> C', $number{$label}, $time, ($value ? 1 : 0) | (defined $ref ? 2 : 0));
        $points .= pack('q> C', @$value) if $value;
        $points .= pack('q>', $ref) if defined $ref;
    }
    return pack('C N', 1, scalar keys %number) . $labels . pack('N', scalar @touchpoints) . $points;
}

# The touchpoints in the given bytes, in order; dies if they aren't the binary
# form of a journey. Accepts mantissas with needless zeros.
sub decode
{
    my ($bytes, $encoding) = (@_, 'UTF8');
    my $at = 0;
    my $take = sub {
        my ($size, $template) = @_;
        die "too short\n" if $size < 0 || $at + $size > length $bytes;
        $at += $size;
        return unpack $template, substr $bytes, $at - $size, $size;
    };
    my $name = sub {
        my $size = $take->(4, 'l>');
        die "name too long\n" if $size < 0 || $size > 255;
        my ($name) = $take->($size, 'a*');
        die "name has a zero byte\n" if $name =~ /\0/;
        die "not UTF-8\n" if $encoding eq 'UTF8' && $name !~ /^(?:$LETTER)*\z/;
        return $name;
    };
    die "unknown version\n" if $take->(1, 'C') != 1;
    my $count = $take->(4, 'l>');
    die "negative count\n" if $count < 0;
    my (@labels, %seen, %used, @touchpoints);
    for (1 .. $count)
    {
        my $label = [ $name->(), $name->(), $name->() ];
        die "label twice\n" if $seen{ pack '(N/a)3', @$label }++;
        push @labels, $label;
    }
    $count = $take->(4, 'l>');
    die "negative count\n" if $count < 0;
    for (1 .. $count)
    {
        my $label = $take->(4, 'l>');
        die "no such label\n" if $label < 0 || $label > $#labels;
        $used{$label} = 1;
        my $time = $take->(8, 'q>');
        die "time out of range\n" if $time < MIN_TIME || $time >= END_TIME;
        my $flags = $take->(1, 'C');
        die "unknown flags\n" if $flags > 3;
        my ($value, $ref);
        $value = [ $take->(8, 'q>'), $take->(1, 'C') ] if $flags & 1;
        die "scale out of range\n" if $value && $value->[1] > MAX_DIGITS;
        die "too many digits\n" if $value && digits(@$value) > MAX_DIGITS;
        $ref = $take->(8, 'q>') if $flags & 2;
        my ($channel, $action, $detail) = @{ $labels[$label] };
        push @touchpoints, [ $time, $channel, $action, $value, $ref, $detail ];
    }
    die "unused label\n" if keys %used < @labels;
    die "bytes left over\n" if $at < length $bytes;
    return sort { compare($a, $b) } @touchpoints;
}

# Digits before the point and after it, without the zeros at either end
sub digits
{
    my ($whole, $fraction) = value_text(@_) =~ /^-?(\d+)(?:\.(\d+))?$/;
    $whole =~ s/^0$//;
    return length($whole) + length($fraction // '');
}

sub value_text
{
    my ($mantissa, $scale) = @_;
    my $sign = $mantissa =~ s/^-// ? '-' : '';
    $mantissa = '0' x ($scale + 1 - length $mantissa) . $mantissa if length $mantissa <= $scale;
    $mantissa =~ s/(\d{$scale})$/.$1/ if $scale;
    $mantissa =~ s/\.?0*$// if $scale;
    return $sign . $mantissa;
}

sub compare_values
{
    my ($x, $y) = map { Math::BigInt->new($_->[0])->bmul(Math::BigInt->new(10)->bpow(18 - $_->[1])) } @_;
    return $x->bcmp($y);
}

# The order of touchpoints: time, ref (none last), channel, action, detail (none first), value (none last)
sub compare
{
    my ($x, $y) = @_;
    return
         $x->[0] <=> $y->[0]
      || !defined $x->[4] <=> !defined $y->[4]
      || (defined $x->[4] && $x->[4] <=> $y->[4])
      || $x->[1] cmp $y->[1]
      || $x->[2] cmp $y->[2]
      || ($x->[5] // '') cmp ($y->[5] // '')
      || !$x->[3] <=> !$y->[3]
      || ($x->[3] ? compare_values($x->[3], $y->[3]) : 0);
}

sub name_text
{
    my ($name) = @_;
    return $name if $name =~ /^[A-Za-z_\x80-\xff](?:[A-Za-z0-9_\x80-\xff-]*[A-Za-z0-9_\x80-\xff])?\z/;
    $name =~ s/"/""/g;
    return qq("$name");
}

# ISO 8601 in UTC; the days are turned into a date as in the Gregorian calendar
# that begins on 0000-03-01
sub time_text
{
    use integer;
    my ($time) = @_;
    my $micros = $time % 86400000000;
    $micros += 86400000000 if $micros < 0;
    my $day = ($time - $micros) / 86400000000 + 730425;
    my $era = ($day >= 0 ? $day : $day - 146096) / 146097;
    my $doe = $day - $era * 146097;
    my $yoe = ($doe - $doe / 1460 + $doe / 36524 - $doe / 146096) / 365;
    my $doy = $doe - (365 * $yoe + $yoe / 4 - $yoe / 100);
    my $m = (5 * $doy + 2) / 153;
    my $month = $m < 10 ? $m + 3 : $m - 9;
    my $year = $yoe + $era * 400 + ($month <= 2 ? 1 : 0);
    my $seconds = $micros / 1000000;
    my $text = sprintf '%s%04d-%02d-%02dT%02d:%02d:%02d.%06d', ($year < 0 ? '-' : $year > 9999 ? '+' : ''),
      abs $year, $month, $doy - (153 * $m + 2) / 5 + 1, $seconds / 3600, $seconds / 60 % 60, $seconds % 60,
      $micros % 1000000;
    $text =~ s/\.?0*$//;
    return $text . 'Z';
}

sub journey_text
{
    my @parts;
    for my $t (@_)
    {
        my ($time, $channel, $action, $value, $ref, $detail) = @$t;
        push @parts,
            name_text($channel) . '.' . name_text($action) . (length($detail // '') ? '.' . name_text($detail) : '')
          . ($value ? '=' . value_text(@$value) : '') . '@' . time_text($time)
          . (defined $ref ? "#$ref" : '');
    }
    return '{' . join(', ', @parts) . '}';
}

# A journey of up to $max touchpoints, of no kind in particular. The names may be
# given, to stay within what an encoding can say.
sub random_journey
{
    my ($max, @names) = @_;
    @names = (
        'web', 'app', 'store', 'e-mail', 'a-', '', '"', 'a b', "\n", '日本語', 'ação', '🛒', '0', 'x' x 255,
        map { "n$_" } 1 .. 20) if !@names;
    my ($times, $values, $refs, $details) = (any(0 .. 4), any(0 .. 3), any(0 .. 3), any(0 .. 3));
    my @touchpoints;
    for (1 .. 1 + int rand $max)
    {
        my $time =
            $times == 0 ? (826000000 + int rand 7776000) * 1000000
          : $times == 1 ? (826000000 + int rand 3) * 1000000
          : $times == 2 ? 826000000000000 + int rand 7776000000000
          : $times == 3 ? any(MIN_TIME, END_TIME - 1, -1, 0, 1, -63134640000000000, 252455616000000000)
          :               (1 << int rand 62) * any(1, 1, -1);
        $time = MIN_TIME if $time < MIN_TIME;
        my $value =
            $values == 0 ? undef
          : $values == 1 ? [ int rand 100000, 2 ]
          : $values == 2 ? [ any(999999999999999999, -999999999999999999, 1, -1, 0), int rand 19 ]
          :                any(undef, [ 1, 0 ], [ 10, 1 ], [ (1 << int rand 59) * any(1, -1), int rand 19 ]);
        my $ref =
            $refs == 0 ? undef
          : $refs == 1 ? scalar @touchpoints
          : $refs == 2 ? any(undef, 1, 2)
          : any(undef, -9223372036854775807 - 1, 9223372036854775807, 0, (1 << int rand 63) * any(1, -1));
        my $detail = $details == 0 ? undef : $details == 1 ? any('in', 'out') : $details == 2 ? any(undef, '', 'in', 'bot') : any(@names);
        push @touchpoints, [ $time, any(@names), any(@names), $value, $ref, $detail ];
    }
    return sort { compare($a, $b) } @touchpoints;
}

# The bytes with something wrong: bits flipped, cut, inserted, replaced by numbers that matter
sub mutate
{
    my ($bytes) = @_;
    for (1 .. any(1, 1, 1, 2, 4))
    {
        my $at = int rand(1 + length $bytes);
        my $how = int rand 7;
        if ($how <= 1 && $at < length $bytes) { substr($bytes, $at, 1) ^= chr(1 << int rand 8) }
        elsif ($how == 2) { substr($bytes, $at) = '' }
        elsif ($how == 3) { substr($bytes, $at, 0) = chr int rand 256 }
        elsif ($how == 4) { substr($bytes, $at, 1) = '' if $at < length $bytes }
        elsif ($how == 5 && $at + 4 <= length $bytes)
        {
            substr($bytes, $at, 4) = pack 'l>', any(0, 1, -1, 2, 255, 256, 65536, 2147483647, -2147483648, 536870911);
        }
        elsif ($at + 8 <= length $bytes)
        {
            substr($bytes, $at, 8) = pack 'q>',
              any(MIN_TIME, MIN_TIME - 1, END_TIME, END_TIME - 1, 9223372036854775807, -9223372036854775807 - 1,
                1000000000000000000, 0);
        }
    }
    return $bytes;
}

sub write_bytes
{
    my ($path, $bytes) = @_;
    open my $file, '>:raw', $path or die "$path: $!";
    print $file $bytes;
    close $file or die "$path: $!";
    return $path;
}

# A file for COPY BINARY, of rows of fields, each in bytes or undef
sub copy_file
{
    my ($path, @rows) = @_;
    my $bytes = "PGCOPY\n\xff\r\n\0" . pack('N N', 0, 0);
    for my $row (@rows)
    {
        $bytes .= pack 'n', scalar @$row;
        $bytes .= defined $_ ? pack('N/a', $_) : pack('l>', -1) for @$row;
    }
    return write_bytes($path, $bytes . pack('s>', -1));
}

# The rows of such a file
sub read_copy
{
    my ($path) = @_;
    my $bytes = slurp_file($path);
    my $at = 19;
    my @rows;
    while ((my $fields = unpack 's>', substr $bytes, $at, 2) >= 0)
    {
        $at += 2;
        my @row;
        for (1 .. $fields)
        {
            my $size = unpack 'l>', substr $bytes, $at, 4;
            $at += 4;
            push @row, $size < 0 ? undef : substr $bytes, $at, $size;
            $at += $size if $size > 0;
        }
        push @rows, \@row;
    }
    return @rows;
}

1;
