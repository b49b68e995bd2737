/* tg_scan by itself, each case with every implementation. Prints how many passed; exits 1 if any failed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tg_scan.h"

static const char *names[8];
static int implementations;

static void check(int right, const char *what, const char *doc)
{
    char words[200];
    snprintf(words, sizeof words, "%s (%s)", what, tg_scan_using());
    check_value(right, words, doc);
}

static tg_scan_plan *plan_of(const char *const *pointers, size_t n)
{
    size_t lens[TG_SCAN_MAX_FIELDS];
    tg_scan_plan *plan;
    for (size_t i = 0; i < n; i++)
        lens[i] = strlen(pointers[i]);
    if (tg_scan_plan_new(pointers, lens, n, &plan) != TG_SCAN_OK)
        abort();
    return plan;
}

/* Scans a copy that ends where its block ends. */
static tg_scan_status scan(const tg_scan_plan *plan, const char *doc, size_t len, tg_scan_level level,
                           tg_scan_value *out, tg_scan_info *info, uint8_t **copy)
{
    *copy = malloc(len ? len : 1);
    memcpy(*copy, doc, len);
    return tg_scan(plan, len ? *copy : NULL, len, level, out, info);
}

static const char pad[] = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789";

/* Status and position of `doc` at both levels; also inside a longer document, where it meets the fast scanners. */
static void expect(const char *doc, tg_scan_status structure, tg_scan_status grammar, uint32_t pos)
{
    const tg_scan_plan *plan = plan_of((const char *const[]){"/a"}, 1);
    size_t len = strlen(doc);
    char longer[1024];
    tg_scan_value out;
    tg_scan_info info;
    uint8_t *copy;
    for (int level = 0; level < 2; level++) {
        tg_scan_status wanted = level ? grammar : structure;
        tg_scan_status got = scan(plan, doc, len, (tg_scan_level)level, &out, &info, &copy);
        check(got == wanted, tg_scan_status_name(got), doc);
        check(info.error_pos == (wanted == TG_SCAN_OK ? 0 : pos), "position", doc);
        free(copy);
        if (wanted == TG_SCAN_EMPTY || len > 100)
            continue;
        int before = snprintf(longer, sizeof longer, "[\"%s\",", pad);
        int n = before + snprintf(longer + before, sizeof longer - (size_t)before, "%s%s", doc,
                                  wanted == TG_SCAN_ETRUNC ? "" : "]");
        got = scan(plan, longer, (size_t)n, (tg_scan_level)level, &out, &info, &copy);
        check(got == wanted, tg_scan_status_name(got), longer);
        check(info.error_pos == (wanted == TG_SCAN_OK ? 0 : pos + (uint32_t)before), "position", longer);
        free(copy);
    }
    tg_scan_plan_free((tg_scan_plan *)plan);
}

static void test_statuses(void)
{
    char deep[200];
    expect("", TG_SCAN_EMPTY, TG_SCAN_EMPTY, 0);
    expect(" \n\t", TG_SCAN_EMPTY, TG_SCAN_EMPTY, 3);
    expect("\xEF\xBB\xBF ", TG_SCAN_EMPTY, TG_SCAN_EMPTY, 4);
    expect("{}", TG_SCAN_OK, TG_SCAN_OK, 0);
    expect("[[],{},\"\",0,[ ],{ \n}]", TG_SCAN_OK, TG_SCAN_OK, 0);
    expect("{\"a\":1,}", TG_SCAN_ESYNTAX, TG_SCAN_ESYNTAX, 7);
    expect("[1 2]", TG_SCAN_ESYNTAX, TG_SCAN_ESYNTAX, 3);
    expect("[\"a\" \"b\"]", TG_SCAN_ESYNTAX, TG_SCAN_ESYNTAX, 5);
    expect("[\"a\"b]", TG_SCAN_ESYNTAX, TG_SCAN_ESYNTAX, 4);
    expect("[true\"b\"]", TG_SCAN_ESYNTAX, TG_SCAN_ESYNTAX, 5);
    expect("{\"a\":{\"b\":[1,{}}}", TG_SCAN_ESYNTAX, TG_SCAN_ESYNTAX, 15);
    expect("[1_000]", TG_SCAN_ESYNTAX, TG_SCAN_ESYNTAX, 2);
    expect("[\"\xC3\xA9\",\xC3\xA9]", TG_SCAN_ESYNTAX, TG_SCAN_ESYNTAX, 6);
    expect("{\"a\"", TG_SCAN_ETRUNC, TG_SCAN_ETRUNC, 4);
    expect("[\"abc", TG_SCAN_ETRUNC, TG_SCAN_ETRUNC, 5);
    expect("[\"abc\\", TG_SCAN_ETRUNC, TG_SCAN_ETRUNC, 6);
    expect("[\"\\u12", TG_SCAN_ETRUNC, TG_SCAN_ETRUNC, 6);
    expect("[\"\xE4\xB8", TG_SCAN_ETRUNC, TG_SCAN_ETRUNC, 4);
    expect("[\"a\tb\"]", TG_SCAN_ESTRING, TG_SCAN_ESTRING, 3);
    expect("[\"a\\x\"]", TG_SCAN_ESTRING, TG_SCAN_ESTRING, 3);
    expect("[\"a\\u00g0\"]", TG_SCAN_ESTRING, TG_SCAN_ESTRING, 3);
    expect("[\"a\xC0\xAF\"]", TG_SCAN_EUTF8, TG_SCAN_EUTF8, 3);
    expect("[\"a\xED\xA0\x80\"]", TG_SCAN_EUTF8, TG_SCAN_EUTF8, 3);
    expect("[\"a\xF4\x90\x80\x80\"]", TG_SCAN_EUTF8, TG_SCAN_EUTF8, 3);
    expect("[\"a\x80\"]", TG_SCAN_EUTF8, TG_SCAN_EUTF8, 3);
    expect("[\xFF]", TG_SCAN_EUTF8, TG_SCAN_EUTF8, 1);
    expect("[\"\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF\xED\x9F\xBF\"]", TG_SCAN_OK, TG_SCAN_OK, 0);
    expect("[01]", TG_SCAN_OK, TG_SCAN_ELITERAL, 1);
    expect("[tru]", TG_SCAN_OK, TG_SCAN_ELITERAL, 1);
    expect("[true, false ,null,-0.5e+10,1E5,0]", TG_SCAN_OK, TG_SCAN_OK, 0);
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    deep[130] = 0;
    expect(deep, TG_SCAN_EDEPTH, TG_SCAN_EDEPTH, 64);
    deep[129] = 0;
    expect(deep + 1, TG_SCAN_OK, TG_SCAN_OK, 0);
}

static void test_too_large(void)
{
    tg_scan_plan *plan = plan_of(NULL, 0);
    tg_scan_info info;
    check(tg_scan(plan, (const uint8_t *)"", (size_t)UINT32_MAX - 63, TG_SCAN_STRUCTURE, NULL, &info) ==
              TG_SCAN_ETOOLARGE,
          "too large", "");
    tg_scan_plan_free(plan);
}

static int is(const tg_scan_value *v, tg_scan_kind kind, const char *text)
{
    return v->kind == kind && (!text || (v->len == strlen(text) && memcmp(v->ptr, text, v->len) == 0));
}

/* Values, plain and shifted over block borders by blanks in front. */
static void test_values(void)
{
    static const char doc[] =
        "{\"event\\u005ftype\":\"vi\\new\",\"a\":{\"b\":1},\"n\":-1.5,\"a\":{\"c\":true, \"x/y\":null},\"items\":[0,{\"sku\":\"s1\"},"
        "[\"no\"]],\"\":false,\"q\":\"\\\"/a\\\":\",\"last\":\"\xC3\xA9\"}\r\n";
    static const char *const pointers[] = {"/event_type", "/a/b", "/a/c",     "/a/x~1y", "/items/1/sku",
                                           "/items/2/0",  "/",    "/n",       "/last",   "/last",
                                           "/items",      "",     "/items/3", "/q",      "/sku"};
    tg_scan_plan *plan = plan_of(pointers, 15);
    tg_scan_value v[15];
    tg_scan_info info;
    uint8_t *copy, text[16];
    char shifted[600];
    check(tg_scan_plan_fields(plan) == 15, "fields", "");
    for (int shift = 0; shift < 130; shift++) {
        memset(shifted, ' ', (size_t)shift);
        memcpy(shifted + shift, doc, sizeof doc);
        int ok = scan(plan, shifted, (size_t)shift + sizeof doc - 1, TG_SCAN_GRAMMAR, v, &info, &copy) == TG_SCAN_OK;
        ok = ok && info.flags == TG_SCAN_HAS_NEWLINE && is(&v[0], TG_SCAN_STRING, "vi\\new") && v[0].escaped;
        ok = ok && tg_scan_unescape(v[0].ptr, v[0].len, text) == 5 && memcmp(text, "vi\new", 5) == 0;
        ok = ok && is(&v[1], TG_SCAN_ABSENT, NULL) && is(&v[2], TG_SCAN_TRUE, NULL) && is(&v[3], TG_SCAN_NULL, NULL);
        ok = ok && is(&v[4], TG_SCAN_STRING, "s1") && !v[4].escaped && is(&v[5], TG_SCAN_STRING, "no");
        ok = ok && is(&v[6], TG_SCAN_FALSE, NULL) && is(&v[7], TG_SCAN_NUMBER, "-1.5");
        ok = ok && is(&v[8], TG_SCAN_STRING, "\xC3\xA9") && is(&v[9], TG_SCAN_STRING, "\xC3\xA9");
        ok = ok && is(&v[10], TG_SCAN_ARRAY, NULL) && is(&v[11], TG_SCAN_OBJECT, NULL) &&
             is(&v[12], TG_SCAN_ABSENT, NULL);
        ok = ok && is(&v[13], TG_SCAN_STRING, "\\\"/a\\\":") && is(&v[14], TG_SCAN_ABSENT, NULL);
        check(ok, "values", shifted);
        free(copy);
    }
    tg_scan_plan_free(plan);
}

/* Long documents, around the borders of blocks and windows. */
static void test_lengths(void)
{
    tg_scan_plan *plan = plan_of((const char *const[]){"/last", "/x/1"}, 2);
    char *doc = malloc(70000);
    uint8_t *copy;
    tg_scan_value v[2];
    tg_scan_info info;
    for (size_t fill = 0; fill < 66000; fill += fill < 4300 ? 1 : 997) {
        size_t n = (size_t)sprintf(doc, "{\"x\":[1,2,3],\"f\":\"");
        memset(doc + n, 'f', fill);
        n += fill;
        n += (size_t)sprintf(doc + n, "\", \"last\" : \"end\"}");
        int ok = scan(plan, doc, n, TG_SCAN_STRUCTURE, v, &info, &copy) == TG_SCAN_OK &&
                 is(&v[0], TG_SCAN_STRING, "end") && is(&v[1], TG_SCAN_NUMBER, "2") && info.flags == 0;
        free(copy);
        ok = ok && scan(plan, doc, n - 1, TG_SCAN_STRUCTURE, v, &info, &copy) == TG_SCAN_ETRUNC &&
             info.error_pos == n - 1 && is(&v[0], TG_SCAN_ABSENT, NULL);
        check(ok, "length", "");
        free(copy);
    }
    free(doc);
    tg_scan_plan_free(plan);
}

/* All pairs of bytes from 0x80 up and any, with what may follow: the same verdict as the scalar scanner's. */
static void test_utf8(const char *name)
{
    static const uint8_t third[] = {0x80, 0xBF, 'x'}, fourth[] = {0x80, 'x'};
    tg_scan_plan *plan = plan_of(NULL, 0);
    tg_scan_info info, scalar_info;
    uint8_t *doc = malloc(100);
    int same = 1;
    memset(doc, '.', 100);
    memcpy(doc, "[\"", 2);
    memcpy(doc + 98, "\"]", 2);
    for (unsigned first = 0x80; first < 0x100; first++)
        for (unsigned second = 0; second < 0x100; second++)
            for (unsigned rest = 0; rest < 6; rest++) {
                size_t at = 2 + (first * 7 + second) % 92;
                uint8_t bytes[4] = {(uint8_t)first, (uint8_t)second, third[rest % 3], fourth[rest / 3]};
                memcpy(doc + at, bytes, 4);
                tg_scan_use(name);
                tg_scan_status status = tg_scan(plan, doc, 100, TG_SCAN_STRUCTURE, NULL, &info);
                tg_scan_use("scalar");
                same &= tg_scan(plan, doc, 100, TG_SCAN_STRUCTURE, NULL, &scalar_info) == status;
                same &= info.error_pos == scalar_info.error_pos;
                memset(doc + at, '.', 4);
            }
    check(same, "utf8", name);
    free(doc);
    tg_scan_plan_free(plan);
}

static void test_plans(void)
{
    static const char *const bad[] = {"a", "/a~", "/a~2", "a/b"};
    char big[600];
    size_t len;
    tg_scan_plan *plan;
    for (size_t i = 0; i < 4; i++) {
        len = strlen(bad[i]);
        check(tg_scan_plan_new(&bad[i], &len, 1, &plan) == TG_SCAN_EPOINTER && !plan, "pointer", bad[i]);
    }
    const char *p = big;
    memset(big, 'x', sizeof big);
    big[0] = '/';
    len = 1 + TG_SCAN_MAX_TOKEN_BYTES;
    check(tg_scan_plan_new(&p, &len, 1, &plan) == TG_SCAN_OK, "longest token", "");
    tg_scan_plan_free(plan);
    len++;
    check(tg_scan_plan_new(&p, &len, 1, &plan) == TG_SCAN_EPOINTER, "token too long", "");
    memset(big, '/', sizeof big);
    len = TG_SCAN_MAX_DEPTH;
    check(tg_scan_plan_new(&p, &len, 1, &plan) == TG_SCAN_OK, "deepest pointer", "");
    tg_scan_plan_free(plan);
    len++;
    check(tg_scan_plan_new(&p, &len, 1, &plan) == TG_SCAN_EPOINTER, "pointer too deep", "");
    const char *many[TG_SCAN_MAX_FIELDS + 1];
    size_t lens[TG_SCAN_MAX_FIELDS + 1];
    for (size_t i = 0; i <= TG_SCAN_MAX_FIELDS; i++)
        many[i] = "/a", lens[i] = 2;
    check(tg_scan_plan_new(many, lens, TG_SCAN_MAX_FIELDS + 1, &plan) == TG_SCAN_EPOINTER, "too many", "");
    check(tg_scan_plan_new(many, lens, TG_SCAN_MAX_FIELDS, &plan) == TG_SCAN_OK, "as many as there may be", "");
    tg_scan_value out[TG_SCAN_MAX_FIELDS];
    tg_scan_info info;
    tg_scan(plan, (const uint8_t *)"{\"a\":7}", 7, TG_SCAN_STRUCTURE, out, &info);
    check(is(&out[0], TG_SCAN_NUMBER, "7") && is(&out[63], TG_SCAN_NUMBER, "7"), "equal pointers", "");
    tg_scan_plan_free(plan);
    tg_scan_plan_free(NULL);
}

static void test_names(void)
{
    check(tg_scan_use("no such") == -1, "use", "");
    check(strcmp(tg_scan_status_name(TG_SCAN_OK), "ok") == 0, "name", "");
    check(strcmp(tg_scan_status_name(TG_SCAN_ENOMEM), "no_memory") == 0, "name", "");
    check(strcmp(tg_scan_status_name((tg_scan_status)99), "unknown") == 0, "name", "");
    check(tg_scan_use(NULL) == 0 && strcmp(tg_scan_using(), names[0]) == 0, "best", "");
    check(strcmp(names[implementations - 1], "scalar") == 0, "scalar is there", "");
}

int main(void)
{
    implementations = tg_scan_implementations(names, 8);
    for (int i = 0; i < implementations; i++) {
        tg_scan_use(names[i]);
        test_statuses();
        test_too_large();
        test_values();
        test_lengths();
        test_utf8(names[i]);
    }
    test_plans();
    test_names();
    return check_result();
}
