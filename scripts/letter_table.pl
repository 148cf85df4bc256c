#!/usr/bin/perl
# Makes src/match/letter_table.h: for each letter what is left of it without accents, and that in small letters as well.
#
#   perl scripts/letter_table.pl > src/match/letter_table.h
#
# The letters are those of the Unicode that this Perl has; its version is told in the file. Rules:
#
# - A letter that decomposes (form NFKD) into letters of Latin, Greek or Cyrillic, digits and diacritical marks is these
#   letters and digits; the marks, of the blocks for those scripts alone, are dropped, also where they stand by themselves.
#   What other scripts write above and below is no accent and stays.
# - Letters with strokes, hooks and ligatures that Unicode does not decompose are in the list below.
# - Blanks are blanks, apostrophes ', quotation marks ", hyphens and dashes -, full-width forms ASCII.
# - Small letters are the full case folding (ss for ß), independent of any language.
use strict;
use warnings;
use utf8;
use feature qw(fc unicode_strings);
use Unicode::Normalize qw(NFKD);
use Unicode::UCD ();

my $END = 0x20000;
my $STRINGS = 0xe000;    # codes of more than one letter, or of one above U+FFFF: private ones, which stay as they are
my $DROPPED = 1;         # U+0001 is no letter's base
my $MARKS = qr/[\x{300}-\x{36f}\x{1ab0}-\x{1aff}\x{1dc0}-\x{1dff}\x{20d0}-\x{20ff}\x{fe20}-\x{fe2f}]/;

my %special = map { split /=/ } qw(
  ß=ss ẞ=SS æ=ae Æ=AE œ=oe Œ=OE ø=o Ø=O ł=l Ł=L đ=d Đ=D ð=d Ð=D þ=th Þ=TH ħ=h Ħ=H ı=i ŧ=t Ŧ=T ŋ=n Ŋ=N ĸ=k ŉ=n ŀ=l Ŀ=L
  ƀ=b Ƀ=B ɓ=b Ɓ=B ƃ=b Ƃ=B ƈ=c Ƈ=C ȼ=c Ȼ=C ɖ=d Ɖ=D ɗ=d Ɗ=D ƌ=d Ƌ=D ɇ=e Ɇ=E ƒ=f Ƒ=F ɠ=g Ɠ=G ǥ=g Ǥ=G ɨ=i Ɨ=I ɉ=j Ɉ=J
  ƙ=k Ƙ=K ƚ=l Ƚ=L ⱡ=l Ⱡ=L ɲ=n Ɲ=N ƞ=n Ƞ=N ƥ=p Ƥ=P ɍ=r Ɍ=R ƭ=t Ƭ=T ʈ=t Ʈ=T ⱦ=t Ⱦ=T ʉ=u Ʉ=U ʋ=v Ʋ=V ƴ=y Ƴ=Y ɏ=y Ɏ=Y
  ƶ=z Ƶ=Z ȥ=z Ȥ=Z Ⱥ=A ⱥ=a);
$special{$_} = "'" for split //, "‘’‚‛ʹʻʼʽʾʿ´′";
$special{$_} = '"' for split //, '“”„‟«»″';
$special{$_} = '-' for split //, '‐‑‒–—―−';

sub unaccented
{
    my ($c) = @_;
    return $special{$c} if exists $special{$c};
    return '' if $c =~ /^$MARKS$/;
    return ' ' if $c =~ /^\p{Zs}$/;
    my $plain = NFKD($c);
    return $plain if $c =~ /^[\x{ff01}-\x{ff5e}]$/;
    $plain =~ s/$MARKS//g;
    $plain = join '', map { $special{$_} // $_ } split //, $plain;
    return $c if length $plain > 3;    # no more letters than bytes
    return $c if $plain !~ /^[\p{Latin}\p{Greek}\p{Cyrillic}0-9]+$/;
    # an encoding of 256 letters might lack a Greek one
    return $c if ord $c < 0x100 && ord $plain >= 0x100;
    return $plain;
}

sub folded
{
    my ($c) = @_;
    return join '', map { unaccented($_) } split //, fc unaccented($c);
}

my (@strings, %string);

sub code
{
    my ($c, $to) = @_;
    return 0 if $to eq $c;
    return $DROPPED if $to eq '';
    return ord $to if length $to == 1 && ord $to < $STRINGS;
    die sprintf "U+%04X takes more letters than bytes", ord $c
      if length $to > (ord $c < 0x80 ? 1 : ord $c < 0x800 ? 2 : ord $c < 0x10000 ? 3 : 4);
    if (!exists $string{$to})
    {
        $string{$to} = @strings;
        push @strings, length $to, map { ord } split //, $to;
    }
    return $STRINGS + $string{$to};
}

my (@pages, %page);

sub table
{
    my ($form) = @_;
    my @index;
    for (my $first = 0; $first < $END; $first += 64)
    {
        my @codes;
        for my $c ($first .. $first + 63)
        {
            # neither surrogates nor what is not assigned, so that another Unicode changes nothing but what it adds
            push @codes, ($c >= 0xd800 && $c < 0xe000) || chr($c) !~ /\p{Assigned}/ ? 0 : code(chr $c, $form->(chr $c));
        }
        my $page = join ', ', map { sprintf '0x%04x', $_ } @codes;
        if (!exists $page{$page})
        {
            $page{$page} = @pages;
            push @pages, $page;
        }
        push @index, $page{$page};
    }
    return @index;
}

sub rows
{
    my ($per, @values) = @_;
    my $text = '';
    $text .= "\t" . join(', ', splice @values, 0, $per) . ",\n" while @values;
    return $text;
}

table(sub { $_[0] });    # page 0: all stay as they are
my @unaccented = table(\&unaccented);
my @folded = table(\&folded);
die 'too many pages' if @pages > 256;
die 'too many strings' if @strings > 0x1900;
my $version = Unicode::UCD::UnicodeVersion();

print <<END;
/*
 * letter_table.h
 *		Letters without accents, and in small letters, of Unicode $version.
 *
 * Made by scripts/letter_table.pl: change that, not this. Included by letters.c alone.
 */
/* clang-format off */
END
printf "#define LETTER_TABLE_END 0x%x\n#define LETTER_DROPPED %d\n#define LETTER_STRINGS 0x%x\n#define LETTER_STRINGS_END 0x%x\n\n",
  $END, $DROPPED, $STRINGS, $STRINGS + @strings;
print "/* the number of letters, and they, one after the other */\nstatic const uint32 letter_strings[] = {\n",
  rows(16, map { sprintf '0x%02x', $_ } @strings), "};\n\n";
print "/* 0: the letter itself; LETTER_DROPPED; from LETTER_STRINGS on where in letter_strings; else a letter */\n",
  "static const uint16 letter_pages[][64] = {\n", (map { "\t{" . s/((?:\w+, ){16})/$1\n\t /gr =~ s/ +$//mgr . "},\n" } @pages), "};\n\n";
print "static const uint8 unaccented_index[] = {\n", rows(32, @unaccented), "};\n\n";
print "static const uint8 folded_index[] = {\n", rows(32, @folded), "};\n";
