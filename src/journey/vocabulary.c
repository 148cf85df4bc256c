/*
 * vocabulary.c
 *		Words that the packed format writes as one byte.
 *
 * Short journeys are most journeys, and what they would mostly hold is the
 * text of their labels. So the names that the field uses for channels and
 * actions are numbered here, from 1. The list belongs to format version 1:
 * no word may ever be changed, moved or added under that version.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/format.h"

const char *const vocabulary[VOCABULARY_SIZE] = {
	"web",
	"app",
	"email",
	"sms",
	"whatsapp",
	"chat",
	"phone",
	"social",
	"marketplace",
	"store",
	"push",
	"ads",
	"kiosk",
	"chatbot",
	"bot",
	"call_center",
	"mail",
	"mobile",
	"instagram",
	"facebook",
	"messenger",
	"telegram",
	"tiktok",
	"youtube",
	"linkedin",
	"google",
	"affiliate",
	"partner",
	"branch",
	"atm",
	"pos",
	"support",
	"voice",
	"video",
	"tv",
	"radio",
	"rcs",
	"viber",
	"line",
	"wechat",
	"crm",
	"ivr",
	"display",
	"survey",
	"loyalty",
	"delivery",
	"event",
	"catalog",
	"view",
	"page_view",
	"click",
	"open",
	"visit",
	"search",
	"purchase",
	"order",
	"add_to_cart",
	"remove_from_cart",
	"checkout",
	"return",
	"complaint",
	"review",
	"rate",
	"share",
	"like",
	"comment",
	"follow",
	"subscribe",
	"unsubscribe",
	"signup",
	"login",
	"logout",
	"register",
	"call",
	"answer",
	"message",
	"request",
	"reply",
	"resolve",
	"close",
	"reopen",
	"escalate",
	"transfer",
	"send",
	"deliver",
	"bounce",
	"read",
	"pay",
	"refund",
	"cancel",
	"ship",
	"pickup",
	"exchange",
	"wishlist",
	"compare",
	"download",
	"install",
	"renew",
	"start",
	"stop",
	"create",
	"update",
	"delete",
	"book",
	"quote",
	"apply",
	"approve",
	"reject",
	"sign",
	"activate",
	"abandon",
	"browse",
	"impression",
	"lead",
	"feedback",
	"ticket",
	"wait",
	"assign",
	"handoff",
	"scan",
	"redeem",
	"deposit",
	"withdraw",
	"payment",
	"inquiry",
	"page",
	"begin_checkout",
};

/* The details that tell who spoke, in ascending order; "" is none. */
const char *const detail_set_texts[DETAIL_SET_SIZE] = {"", "bot", "in", "out"};

uint8
detail_set_bit(const char *detail, size_t len)
{
	for (int i = 0; i < DETAIL_SET_SIZE; i++)
		if (strlen(detail_set_texts[i]) == len && memcmp(detail_set_texts[i], detail, len) == 0)
			return 1 << i;
	return 0;
}

/* Number of a word, 0 if it is not in the list. */
uint8
vocabulary_find(const char *part, size_t len)
{
	for (int i = 0; i < VOCABULARY_SIZE; i++)
		if (len > 0 && vocabulary[i][0] == part[0] && strlen(vocabulary[i]) == len &&
			memcmp(vocabulary[i], part, len) == 0)
			return i + 1;
	return 0;
}
