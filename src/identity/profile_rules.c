/*
 * profile_rules.c
 *		Rules of traits, as the rows of a hub's trait_rules say them in JSON.
 */
#include "postgres.h"

#include "identity/profile_rules.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static const char *const choice_names[] = {
	[CHOICE_MOST_RECENT] = "most_recent",	  [CHOICE_SOURCE_ORDER] = "source_order",
	[CHOICE_MOST_FREQUENT] = "most_frequent", [CHOICE_LONGEST] = "longest",
	[CHOICE_MIN] = "min",					  [CHOICE_MAX] = "max"};

/* The rules of the first group are kept, for they are most often those of all. */
typedef struct RuleCache
{
	Jsonb *given;
	const RuleSet *rules; /* of the final functions alone */
} RuleCache;

__attribute__((noreturn)) static void
bad_rules(const char *detail, Text name)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid rules of traits"),
					errdetail(detail, (int) name.len, name.p)));
}

/* A member of a rule that is there and not null. */
static bool
get_member(JsonbContainer *rule, const char *name, JsonbValue *result)
{
	return getKeyJsonValueFromContainer(rule, name, strlen(name), result) != NULL &&
		   result->type != jbvNull;
}

static Text
copy_text(const JsonbValue *v)
{
	return (Text) {pnstrdup(v->val.string.val, v->val.string.len), v->val.string.len};
}

/* A member that is an array of texts, NULL where there is none. */
static Text *
read_texts(JsonbContainer *rule, const char *name, Text trait, int *ntexts)
{
	JsonbValue v;
	Text *texts;

	*ntexts = 0;
	if (!get_member(rule, name, &v))
		return NULL;
	if (v.type != jbvBinary || !JsonContainerIsArray(v.val.binary.data))
		bad_rules(psprintf("%s of \"%%.*s\" is no array.", name), trait);
	texts = palloc((JsonContainerSize(v.val.binary.data) + 1) * sizeof(Text));
	for (uint32 i = 0; i < JsonContainerSize(v.val.binary.data); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(v.val.binary.data, i);

		if (element->type != jbvString || element->val.string.len == 0)
			bad_rules(psprintf("%s of \"%%.*s\" holds what is no name.", name), trait);
		texts[(*ntexts)++] = copy_text(element);
		for (int j = 0; j < *ntexts - 1; j++)
			if (text_compare(texts[j], texts[*ntexts - 1]) == 0)
				bad_rules(psprintf("%s of \"%%.*s\" holds the same twice.", name), trait);
	}
	return texts;
}

static int
ruled_compare(const void *a, const void *b)
{
	return text_compare(((const Ruled *) a)->trait, ((const Ruled *) b)->trait);
}

const Ruled *
find_ruled(const RuleSet *set, Text trait)
{
	Ruled wanted = {trait};

	if (set->nruled == 0)
		return NULL;
	return bsearch(&wanted, set->ruled, set->nruled, sizeof(Ruled), ruled_compare);
}

static void
add_ruled(RuleSet *set, Text trait, int member, Rule *rule)
{
	set->ruled = set->ruled == NULL
					 ? palloc(sizeof(Ruled))
					 : repalloc_huge(set->ruled, (Size) (set->nruled + 1) * sizeof(Ruled));
	set->ruled[set->nruled++] = (Ruled) {trait, member, rule};
}

static void
read_rule(RuleSet *set, JsonbContainer *row, int number, bool *any_given)
{
	Rule *rule = palloc0(sizeof(Rule));
	JsonbValue v;
	Text trait;
	Text *members;
	int nmembers;

	if (!get_member(row, "trait", &v) || v.type != jbvString || v.val.string.len == 0)
		bad_rules("Rule without trait%.*s.", (Text) {"", 0});
	trait = copy_text(&v);
	if (get_member(row, "rule", &v))
	{
		for (int i = CHOICE_MOST_RECENT; i <= CHOICE_MAX; i++)
			if (v.type == jbvString && v.val.string.len == strlen(choice_names[i]) &&
				memcmp(v.val.string.val, choice_names[i], v.val.string.len) == 0)
				rule->choice = i;
		if (rule->choice == CHOICE_INHERITED)
			bad_rules("\"%.*s\" has no rule that is known.", trait);
	}
	rule->order = read_texts(row, "source_order", trait, &rule->norder);
	members = read_texts(row, "members", trait, &nmembers);
	if (trait.len == 1 && *trait.p == '*')
	{
		if (*any_given)
			bad_rules("\"%.*s\" has two rules.", trait);
		if (members != NULL)
			bad_rules("\"%.*s\" is no group.", trait);
		*any_given = true;
		if (rule->choice != CHOICE_INHERITED)
			set->any = *rule;
	}
	else if (members == NULL)
		add_ruled(set, trait, 0, rule);
	else
	{
		if (nmembers == 0)
			bad_rules("Group \"%.*s\" has no members.", trait);
		rule->group = number;
		for (int i = 0; i < nmembers; i++)
			add_ruled(set, members[i], i, rule);
	}
}

static const RuleSet *
read_rules(Jsonb *given)
{
	RuleSet *set = palloc0(sizeof(RuleSet));
	bool any_given = false;

	set->any.choice = CHOICE_MOST_RECENT;
	if (given == NULL)
		return set;
	if (!JB_ROOT_IS_ARRAY(given) || JB_ROOT_IS_SCALAR(given))
		bad_rules("They are no array%.*s.", (Text) {"", 0});
	for (uint32 i = 0; i < JB_ROOT_COUNT(given); i++)
	{
		JsonbValue *row = getIthJsonbValueFromContainer(&given->root, i);

		CHECK_FOR_INTERRUPTS();
		if (row->type != jbvBinary || !JsonContainerIsObject(row->val.binary.data))
			bad_rules("A rule is no object%.*s.", (Text) {"", 0});
		read_rule(set, row->val.binary.data, i + 1, &any_given);
	}
	if (set->nruled > 0)
		qsort(set->ruled, set->nruled, sizeof(Ruled), ruled_compare);
	for (int i = 0; i < set->nruled; i++)
	{
		Rule *rule = set->ruled[i].rule;

		if (i > 0 && text_compare(set->ruled[i - 1].trait, set->ruled[i].trait) == 0)
			bad_rules("Trait \"%.*s\" has more than one rule; a member of a group has the group's.",
					  set->ruled[i].trait);
		if (rule->choice == CHOICE_INHERITED)
		{
			rule->choice = set->any.choice;
			rule->norder = set->any.norder;
			rule->order = set->any.order;
		}
	}
	return set;
}

static inline bool
same_rules(Jsonb *a, Jsonb *b)
{
	if (a == b || a == NULL || b == NULL)
		return a == b;
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

Jsonb *
copy_rules(Jsonb *given, MemoryContext cxt)
{
	Jsonb *copy;

	if (given == NULL)
		return NULL;
	copy = MemoryContextAlloc(cxt, VARSIZE(given));
	memcpy(copy, given, VARSIZE(given));
	return copy;
}

Jsonb *
rules_argument(FunctionCallInfo fcinfo, int argument, MemoryContext group_cxt)
{
	Jsonb *given = PG_ARGISNULL(argument) ? NULL : PG_GETARG_JSONB_P(argument);
	RuleCache *cache = fcinfo->flinfo->fn_extra;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(RuleCache));
		cache->given = copy_rules(given, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = cache;
	}
	return same_rules(given, cache->given) ? cache->given : copy_rules(given, group_cxt);
}

const RuleSet *
rules_of(FunctionCallInfo fcinfo, Jsonb *given)
{
	RuleCache *cache = fcinfo->flinfo->fn_extra;
	MemoryContext old;

	if (cache != NULL)
		return same_rules(given, cache->given) ? cache->rules : read_rules(given);
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	cache = palloc(sizeof(RuleCache));
	cache->given = copy_rules(given, CurrentMemoryContext);
	cache->rules = read_rules(given);
	MemoryContextSwitchTo(old);
	fcinfo->flinfo->fn_extra = cache;
	return cache->rules;
}
