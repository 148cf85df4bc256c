#!/usr/bin/perl
# People with errors, and the truth: what matching has to find, and what it must not.
#
#   perl test/people.pl [--people 1000] [--seed 1] [--errors 1.0] [--languages pt,es,en] > people.csv
#
# Records of people as several systems hold them, in CSV with a header, in UTF-8. The same arguments make the same bytes, on any
# machine; memory does not grow with the number. People live in households, of Portuguese, Spanish and English names, common
# ones more often than rare ones. Each has one to five records:
#
#   record_id   1, 2 ..., in no order of people
#   person_id   the truth: records of one person have one
#   household   who live together: couples, children, twins, and sons who are named like their fathers
#   source      crm, web, shop or desk: what it asks for differs
#   name        the whole name, as this system writes it
#   given, family, born, phone, email, document, street, postcode, city   empty: not known
#   changes     what makes it differ from the person as registered at first, apart by blanks; and twin, of those who are
#
# changes are: typo_given, typo_family, sound, accents, capitals, nickname, initial, fewer_names, swapped_names, married, moved,
# born_swapped, born_typo, born_year_only, phone_typo, phone_new, email_typo, email_new, email_company, document_typo, twin.
#
# --errors scales how often they happen: 0 leaves only what systems do not ask for.
use strict;
use warnings;
use utf8;
use open ':std', ':encoding(UTF-8)';
use Getopt::Long;
use List::Util qw(min max);

my ($people, $seed, $errors, $languages) = (1000, 1, 1.0, 'pt,es,en');
GetOptions('people=i' => \$people, 'seed=i' => \$seed, 'errors=f' => \$errors, 'languages=s' => \$languages)
  && !@ARGV && $people > 0 && $errors >= 0 && $languages =~ /^(?:pt|es|en)(?:,(?:pt|es|en))*$/
  or die "usage: people.pl [--people N] [--seed N] [--errors X] [--languages pt,es,en]\n";
my @languages = split /,/, $languages;

# --- chance: a generator of our own, for Perl's differs between builds ---

my $state = ($seed * 2654435761 + 12345) % 4294967296;

# 32 bits; steps of Marsaglia's xorshift
sub chance
{
    $state = 88172645 if $state == 0;
    $state ^= ($state << 13) & 0xffffffff;
    $state ^= $state >> 17;
    $state ^= ($state << 5) & 0xffffffff;
    return $state / 4294967296;
}
chance() for 1 .. 20;
sub below { return int($_[0] * chance()) }
sub happens { return chance() < $_[0] }
sub wrong { return chance() < min(0.95, $errors * $_[0]) }
sub one_of { return $_[ below(scalar @_) ] }

# The first are the commonest
sub common { return $_[ int(@_ * chance() * chance()) ] }

# --- names ---

my %names = (
    pt => {
        f => [qw(Maria Ana Mariana Beatriz Inês Leonor Carolina Matilde Francisca Margarida Sofia Joana Teresa Helena Catarina Luísa Rita Marta Sara Cláudia Conceição
              Fernanda Isabel Filipa Patrícia Sílvia Susana Vera Mónica Graça Júlia Lúcia Raquel Cristina Paula Glória Antónia Estefânia)],
        m => [qw(João José António Manuel Francisco Pedro Miguel Tiago Rui Luís Carlos Paulo Jorge Nuno Ricardo Diogo André Bruno Gonçalo Guilherme Duarte Afonso Rodrigo
              Henrique Fernando Vítor Sérgio Filipe Hugo Mário Álvaro Simão Xavier Estêvão Baltazar)],
        family => [qw(Silva Santos Ferreira Pereira Oliveira Costa Rodrigues Martins Jesus Sousa Fernandes Gonçalves Gomes Lopes Marques Alves Almeida Ribeiro Pinto
              Carvalho Teixeira Moreira Correia Mendes Nunes Soares Vieira Monteiro Cardoso Rocha Raposo Neves Coelho Cruz Cunha Pires Ramos Reis Simões Antunes Matos
              Fonseca Machado Araújo Barbosa Tavares Lourenço Castro Figueiredo Azevedo Freitas Magalhães Henriques Assunção Guimarães Sequeira Queirós)],
        streets => ['Rua das Flores', 'Avenida da Liberdade', 'Rua de São João', 'Largo do Carmo', 'Travessa do Norte', 'Rua Augusta', 'Rua Direita', 'Praça da República'],
        cities => [qw(Lisboa Porto Braga Coimbra Faro Aveiro Évora Setúbal Guimarães Viseu)], country => '+351', mobile => [qw(91 92 93 96)], phone => 7,
    },
    es => {
        f => [qw(María Carmen Ana Lucía Laura Marta Paula Sofía Isabel Elena Cristina Pilar Josefa Dolores Teresa Mercedes Rosario Beatriz Nuria Silvia Rocío Irene Alba
              Ximena Guadalupe Inés Consuelo Concepción Yolanda Verónica Begoña Montserrat)],
        m => [qw(Antonio José Manuel Francisco David Juan Javier Daniel Carlos Jesús Alejandro Miguel Rafael Pedro Pablo Ángel Sergio Fernando Jorge Luis Alberto Álvaro
              Diego Adrián Raúl Iván Rubén Enrique Óscar Ramón Andrés Joaquín Ignacio Vicente Gonzalo)],
        family => [qw(García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Hernández Ruiz Díaz Moreno Muñoz Álvarez Romero Gutiérrez
              Alonso Navarro Torres Domínguez Ramos Vázquez Gil Ramírez Serrano Molina Blanco Morales Suárez Ortega Delgado Castro Ortiz Rubio Núñez Medina Castillo
              Cortés Garrido Guerrero Lozano Cano Méndez Cruz Prieto Flores Herrera Peña Calvo Gallego Ibáñez Yáñez Echeverría)],
        streets => ['Calle Mayor', 'Calle de Alcalá', 'Avenida de la Constitución', 'Plaza de España', 'Calle Real', 'Paseo del Prado', 'Calle San Juan', 'Ronda del Sur'],
        cities => [qw(Madrid Barcelona Valencia Sevilla Zaragoza Málaga Murcia Bilbao Córdoba Vigo)], country => '+34', mobile => [qw(61 62 65 69 71)], phone => 7,
    },
    en => {
        f => [qw(Mary Jennifer Elizabeth Linda Barbara Susan Jessica Margaret Sarah Karen Nancy Lisa Dorothy Sandra Ashley Kimberly Emily Donna Michelle Carol Amanda
              Deborah Rebecca Katherine Christine Helen Alexandra Victoria Theresa Evelyn)],
        m => [qw(James John Robert Michael William David Richard Joseph Thomas Charles Christopher Daniel Matthew Anthony Mark Donald Steven Paul Andrew Joshua Kenneth
              Kevin Brian George Edward Ronald Timothy Alexander Stephen Geoffrey)],
        family => [qw(Smith Jones Taylor Brown Williams Wilson Johnson Davies Robinson Wright Thompson Evans Walker White Roberts Green Hall Wood Jackson Clarke Harrison
              Phillips Lewis Young Allen King Mitchell Campbell Anderson Stewart Morris Murphy Cunningham MacDonald O'Brien O'Connor Hutchinson Fitzgerald Montgomery
              Shackleford Nicholson Pearson Dixon Reid Ainsworth)],
        streets => ['High Street', 'Station Road', 'Church Lane', 'Victoria Road', 'Park Avenue', 'London Road', 'Mill Lane', 'The Crescent'],
        cities => [qw(London Manchester Leeds Bristol Oxford York Norwich Exeter Bath Derby)], country => '+44', mobile => [qw(74 75 77 78 79)], phone => 8,
    });

# as match_nicknames takes them
our %nicknames = (
    Francisco => [ 'Chico', 'Paco' ], José => [ 'Zé', 'Pepe' ], Manuel => ['Manel'], João => ['Joca'], Maria => ['Mia'], Margarida => ['Guida'], Luísa => ['Lu'],
    Fernanda => ['Nanda'], António => ['Tó'], Filipa => ['Pipa'], Guilherme => ['Gui'], Carmen => ['Menchu'], Dolores => ['Lola'], Concepción => ['Concha'],
    Rosario => ['Charo'], Mercedes => ['Merche'], Ignacio => ['Nacho'], Enrique => ['Quique'], Antonio => ['Toño'], Robert => [ 'Bob', 'Rob' ], William => [ 'Bill', 'Will' ],
    James => [ 'Jim', 'Jamie' ], Elizabeth => [ 'Liz', 'Beth' ], Margaret => [ 'Peggy', 'Meg' ], Richard => [ 'Dick', 'Rick' ], Michael => ['Mike'], Thomas => ['Tom'],
    Katherine => [ 'Kate', 'Kathy' ], Alexander => ['Alex'], Alexandra => ['Alex'], Christopher => ['Chris'], Christine => ['Chris'], Edward => [ 'Ted', 'Ed' ]);

# What sounds alike, and is written for one another
my @sounds = (
    [ qr/ç/, 's' ], [ qr/z\b/, 's' ], [ qr/s\b/, 'z' ], [ qr/ei/, 'e' ], [ qr/ss/, 'ç' ], [ qr/ou/, 'o' ], [ qr/x/, 'ch' ], [ qr/ph/, 'f' ], [ qr/\bH/, '' ], [ qr/th/, 't' ],
    [ qr/v/, 'b' ], [ qr/ll/, 'y' ], [ qr/rr/, 'r' ], [ qr/\bJ(?=[ei])/, 'G' ], [ qr/\bG(?=[ei])/, 'J' ], [ qr/y/, 'i' ], [ qr/i(?=[aeou])/, 'y' ], [ qr/nn/, 'n' ], [ qr/ck/, 'k' ]);

my %plain;
@plain{ split //, 'áàâãäéêëíîïóôõöúûüçñÁÀÂÃÉÊÍÓÔÕÚÇÑ' } = split //, 'aaaaaeeeiiioooouuucnAAAAEEIOOOUCN';
sub plain { return join '', map { $plain{$_} // $_ } split //, $_[0] }

# A key beside the one that was meant, or a letter left out, doubled or swapped with the next; a first letter seldom
my @keys = ('qwertyuiop', 'asdfghjklç', 'zxcvbnm', '1234567890');

sub slip
{
    my ($text) = @_;
    return $text if length $text < 3;
    my $at = happens(0.9) ? 1 + below(length($text) - 1) : 0;
    my $c = substr $text, $at, 1;
    my $kind = below(4);
    if ($kind == 0)
    {
        my ($row) = grep { index($_, lc $c) >= 0 } @keys;
        my $i = defined $row ? index $row, lc $c : -1;
        substr($text, $at, 1) = substr $row, $i == 0 ? 1 : $i - 1, 1 if $i >= 0;
    }
    elsif ($kind == 1) { substr($text, $at, 1) = '' }
    elsif ($kind == 2) { substr($text, $at, 0) = $c }
    elsif ($at + 1 < length $text) { substr($text, $at, 2) = reverse substr $text, $at, 2 }
    return $text;
}

sub digit_slip
{
    my ($text) = @_;
    my @at = grep { substr($text, $_, 1) =~ /\d/ } 0 .. length($text) - 1;
    my $at = one_of(@at[ int(@at / 2) .. $#at ]);
    substr($text, $at, 1) = (substr($text, $at, 1) + 1 + below(9)) % 10;
    return $text;
}

# --- people ---

sub mobile { my ($l) = @_; my $n = $names{$l}; return $n->{country} . one_of(@{ $n->{mobile} }) . join '', map { below(10) } 1 .. $n->{phone} }

# Portugal's NIF, Spain's DNI, Britain's national insurance number
sub document
{
    my ($l) = @_;
    my $digits = join '', map { below(10) } 1 .. 7;
    if ($l eq 'pt')
    {
        my $sum = 0;
        $digits = one_of(1, 2) . $digits;
        $sum += (9 - $_) * substr $digits, $_, 1 for 0 .. 7;
        return $digits . ($sum % 11 < 2 ? 0 : 11 - $sum % 11);
    }
    return "0$digits" . substr 'TRWAGMYFPDXBNJZSQVHLCKE', $digits % 23, 1 if $l eq 'es';
    return 'A' . one_of(qw(B C E H K M)) . substr($digits, 0, 6) . one_of(qw(A B C D));
}

sub email
{
    my ($p) = @_;
    my ($given, $family) = map { lc plain($_) =~ s/[^A-Za-z]//gr } $p->{given}[0], $p->{family}[-1];
    my $year = substr $p->{born}, 2, 2;
    my $local = one_of("$given.$family", "$given$family", substr($given, 0, 1) . $family, "$given.$family$year", "$family$year", "$given$year" . below(100));
    return $local . '@' . common(qw(gmail.com hotmail.com outlook.com yahoo.com sapo.pt telefonica.net btinternet.com proton.me));
}

sub address
{
    my ($l) = @_;
    my $n = $names{$l};
    my $number = 1 + below(200);
    my $city = common(@{ $n->{cities} });
    return { street => $l eq 'en' ? "$number " . one_of(@{ $n->{streets} }) : one_of(@{ $n->{streets} }) . ", $number", city => $city,
        postcode => $l eq 'pt' ? sprintf('%04d-%03d', 1000 + below(9000), below(1000)) : $l eq 'es' ? sprintf('%05d', 1000 + below(52000)) : uc(substr $city, 0, 2) . (1 + below(20)) . ' ' . below(10) . 'AB' };
}

sub born { my ($from, $to) = @_; return sprintf '%04d-%02d-%02d', $from + below($to - $from), 1 + below(12), 1 + below(28) }

sub person
{
    my ($l, $sex, $families, $born, $address) = @_;
    my @given = common(@{ $names{$l}{$sex} });
    push @given, grep { $_ ne $given[0] } common(@{ $names{$l}{ one_of($sex, $sex, 'f') } }) if happens($l eq 'en' ? 0.5 : 0.6);
    return { language => $l, sex => $sex, given => \@given, family => [@$families], born => $born, address => $address, document => document($l), phone => mobile($l), suffix => '' };
}

# A household of one to six: all who are in it
sub household
{
    my $l = one_of(@languages);
    my $address = address($l);
    my $family = sub { common(@{ $names{$l}{family} }) };
    my @pair = ($family->(), $family->());
    my @mother = $l eq 'en' ? ($pair[1]) : ($family->(), $pair[1]);
    my @father = $l eq 'en' ? ($pair[0]) : ($family->(), $pair[0]);
    my @members = person($l, one_of('f', 'm'), \@father, born(1935, 2000), $address);
    my $kind = below(10);
    if ($kind >= 4)
    {
        my $year = substr $members[0]{born}, 0, 4;
        $members[0]{sex} eq 'm' or @members = person($l, 'm', \@father, $members[0]{born}, $address);
        push @members, person($l, 'f', \@mother, born($year - 5, $year + 6), $address);
        $members[1]{married} = $l eq 'en' ? [ $pair[0] ] : [ @mother, $pair[0] ] if $l ne 'es' && wrong(0.5);
        # names of both parents, in the order of the country
        my @families = $l eq 'en' ? ($pair[0]) : $l eq 'pt' ? ($pair[1], $pair[0]) : ($pair[0], $pair[1]);
        my $children = $kind >= 6 ? 1 + below(3) : 0;
        for my $n (1 .. $children)
        {
            my $child = person($l, one_of('f', 'm'), \@families, born($year + 22, $year + 38), $address);
            if ($n == 1 && $child->{sex} eq 'm' && happens(0.1))
            {
                $child->{given} = [ @{ $members[0]{given} } ];
                $child->{suffix} = $l eq 'pt' ? 'Filho' : $l eq 'en' ? 'Jr.' : '';
            }
            push @members, $child;
            next if !happens(0.06);
            # twins share all but the given name and what is theirs alone
            my $twin = person($l, $child->{sex}, \@families, $child->{born}, $address);
            $twin->{given}[0] = one_of(grep { $_ ne $child->{given}[0] } @{ $names{$l}{ $child->{sex} } });
            $_->{twin} = 1 for $child, $twin;
            push @members, $twin;
        }
    }
    $_->{email} = email($_) for @members;
    # people of one company have its address, of which some write nothing else
    my $company = lc(plain($pair[0])) =~ s/[^a-z]//gr . one_of('lda', 'group', 'sa') . ($l eq 'en' ? '.co.uk' : ".$l");
    for (@members)
    {
        next if !wrong(0.12);
        $_->{company} = one_of('info', 'geral', 'office', lc plain($_->{given}[0])) . "\@$company";
    }
    return @members;
}

# --- records ---

my %asks = (crm => [qw(born phone email document address)], web => [qw(email born)], shop => [qw(phone address)], desk => [qw(phone email)]);

sub national { my ($phone) = @_; return $phone =~ s/^\+(?:351|34)//r =~ s/^\+44/0/r }

sub record
{
    my ($p, $n) = @_;
    my %changed;
    my $source = $n == 0 ? 'crm' : one_of(sort keys %asks);
    my @given = @{ $p->{given} };
    my @family = @{ $p->{family} };
    my $address = $p->{address};
    my %r = (source => $source, map { $_ => '' } qw(born phone email document street postcode city));
    my $try = sub { my ($what, $rate) = @_; return wrong($rate) && ($changed{$what} = 1) };

    $changed{twin} = 1 if $p->{twin};
    if ($p->{married} && $n > 0 && happens(0.6)) { @family = @{ $p->{married} }; $changed{married} = 1 }
    if ($n > 0 && ($p->{moved} // 0) && happens(0.5)) { $address = $p->{moved}; $changed{moved} = 1 }

    if ($nicknames{ $given[0] } && wrong(0.12)) { $given[0] = one_of(@{ $nicknames{ $given[0] } }); $changed{nickname} = 1 }
    if (@family > 1 && $try->('fewer_names', 0.25)) { @family = ($family[-1]) }
    if (@given > 1 && wrong(0.3)) { pop @given; $changed{fewer_names} = 1 }
    elsif (@given > 1 && $try->('initial', 0.2)) { $given[1] = substr($given[1], 0, 1) . '.' }
    elsif ($try->('initial', 0.02)) { $given[0] = substr($given[0], 0, 1) . '.' }
    if (wrong(0.06)) { my $slipped = slip($given[0]); $changed{typo_given} = 1 if $slipped ne $given[0]; $given[0] = $slipped }
    if (wrong(0.08)) { my $slipped = slip($family[-1]); $changed{typo_family} = 1 if $slipped ne $family[-1]; $family[-1] = $slipped }
    if (wrong(0.06))
    {
        my $name = one_of(\$given[0], \$family[-1]);
        my @fit = grep { $$name =~ $_->[0] } @sounds;
        if (@fit) { my ($from, $to) = @{ one_of(@fit) }; $$name =~ s/$from/$to/; $$name = ucfirst $$name; $changed{sound} = 1 }
    }
    if (wrong(0.25)) { for (@given, @family) { my $plain = plain($_); $changed{accents} = 1 if $plain ne $_; $_ = $plain } }
    if ($try->('capitals', 0.1)) { $_ = uc for @given, @family }
    my $joint = $p->{language} eq 'pt' && happens(0.3) ? ' da ' : ' ';
    my $suffix = $p->{suffix} && happens(0.8) ? " $p->{suffix}" : '';
    ($r{given}, $r{family}) = ("@given", "@family$suffix");
    if ($try->('swapped_names', 0.03)) { @r{qw(given family)} = @r{qw(family given)} }
    $r{name} = $source eq 'shop' ? "$r{family}, $r{given}" : "$r{given}$joint$r{family}";

    for my $field (@{ $asks{$source} })
    {
        next if happens(0.12);
        if ($field eq 'address') { @r{qw(street postcode city)} = @$address{qw(street postcode city)}; $r{street} = slip($r{street}) if wrong(0.08) }
        elsif ($field eq 'born')
        {
            my ($y, $m, $d) = split /-/, $p->{born};
            $r{born} = $p->{born};
            if ($m ne $d && $d <= 12 && $try->('born_swapped', 0.05)) { $r{born} = "$y-$d-$m" }
            elsif ($try->('born_typo', 0.04)) { $r{born} = digit_slip($p->{born}) }
            elsif ($try->('born_year_only', 0.02)) { $r{born} = $y }
            elsif ($source eq 'web' && $p->{language} ne 'en' && happens(0.3)) { $r{born} = "$d/$m/$y" }
        }
        elsif ($field eq 'phone')
        {
            $r{phone} = $p->{phone};
            if ($n > 0 && $p->{new_phone} && happens(0.5)) { $r{phone} = $p->{new_phone}; $changed{phone_new} = 1 }
            $r{phone} = digit_slip($r{phone}) if $try->('phone_typo', 0.04);
            $r{phone} = national($r{phone}) if happens(0.4);
            $r{phone} =~ s/(\d{3})(\d{3})$/ $1 $2/ if happens(0.3);
        }
        elsif ($field eq 'email')
        {
            $r{email} = $p->{email};
            if ($p->{company} && happens(0.4)) { $r{email} = $p->{company}; $changed{email_company} = 1 }
            elsif ($n > 0 && $p->{new_email} && happens(0.5)) { $r{email} = $p->{new_email}; $changed{email_new} = 1 }
            $r{email} = slip($r{email}) if $try->('email_typo', 0.05);
            $r{email} = ucfirst $r{email} if happens(0.1);
        }
        else { $r{document} = $p->{document}; $r{document} = digit_slip($r{document}) if $try->('document_typo', 0.04) }
    }
    $r{changes} = join ' ', sort keys %changed;
    return \%r;
}

# --- all of it ---

my @columns = qw(record_id person_id household source name given family born phone email document street postcode city changes);
print join(',', @columns), "\n";
my ($person_id, $household, $record_id) = (0, 0, 0);
my @waiting;

# Records leave in another order than they come, but soon
sub leave
{
    my ($keep) = @_;
    while (@waiting > $keep)
    {
        my $at = below(scalar @waiting);
        my $r = $waiting[$at];
        $waiting[$at] = $waiting[-1];
        pop @waiting;
        $r->{record_id} = ++$record_id;
        print join(',', map { my $v = $r->{$_}; $v =~ /[",\n]/ ? '"' . $v =~ s/"/""/gr . '"' : $v } @columns), "\n";
    }
}

while ($person_id < $people)
{
    $household++;
    for my $p (household())
    {
        last if $person_id == $people;
        $person_id++;
        $p->{moved} = address($p->{language}) if wrong(0.2);
        $p->{new_phone} = mobile($p->{language}) if wrong(0.15);
        $p->{new_email} = email($p) if wrong(0.15);
        for my $n (0 .. int(5 * chance() * chance()))
        {
            my $r = record($p, $n);
            @$r{qw(person_id household)} = ($person_id, $household);
            push @waiting, $r;
        }
    }
    leave(5000);
}
leave(0);
