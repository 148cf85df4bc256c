# The search for labels of a block must be made of vector instructions: by gcc and by clang, with PostgreSQL's own flags for
# any processor of the family, nothing but -O2. What a compiler refuses to vectorise stays right but is ten times slower.
use strict;
use warnings;
use Cwd 'abs_path';
use File::Temp 'tempdir';
use FindBin;
use Test::More;

my $top = abs_path("$FindBin::Bin/../..");
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
my $dir = tempdir(CLEANUP => 1);
# By architecture: what compares 16 bytes at once, what keeps the larger of 16, and what shows that something wider was asked for
my %instructions = (
    x86_64 => [ qr/\bpcmpeqb\s/, qr/\bpmaxub\s/, qr/%[yz]mm/ ],
    aarch64 => [ qr/\bcmeq\s+v\d+\.16b/, qr/\bumax\s+v\d+\.16b/, qr/\bz\d+\.b\b/ ]);
chomp(my $machine = `uname -m`);

sub has_program { return system("command -v $_[0] >/dev/null 2>&1") == 0 }

plan skip_all => "not known what vector instructions of $machine look like" unless $instructions{$machine};
plan skip_all => 'there is no objdump' unless has_program('objdump');
my ($compare, $larger, $wider) = @{$instructions{$machine}};
chomp(my $flags = `$pg_config --cflags`);
chomp(my $include = `$pg_config --includedir-server`);
foreach my $compiler (qw(gcc clang)) {
    subtest $compiler => sub {
        plan skip_all => "there is no $compiler" unless has_program($compiler);
        # of the flags those that make code; the others are warnings, which each compiler has its own of
        my @flags = grep { !/^-W/ && ($compiler eq 'gcc' || !/^-fexcess-precision/) } split ' ', $flags;
        unlike("@flags", qr/-m(?:arch|tune|avx|sse)|-O[3f]/, 'the flags ask for no processor and no more than -O2');
        is(system("$compiler @flags -w -I$top/src -I$include -c -o $dir/$compiler.o $top/src/block/label_scan.c"), 0, 'compiles');
        my $code = `objdump -d --no-show-raw-insn $dir/$compiler.o`;
        cmp_ok(scalar(() = $code =~ /$compare/g), '>=', 8, 'two labels are compared with 64 touchpoints by vectors of 16');
        like($code, $larger, 'so is what the largest label is found with');
        unlike($code, $wider, 'nothing that an older processor lacks');
    };
}
done_testing();
