/* relocate.h: relocations of machine code: for each type of each machine, which value it wants and
 * how a field of the code holds it. One at a time, from numbers that the caller has found.
 *
 * S  address of the symbol       A  addend              P  address of the field
 * T  1 if S is a Thumb function  GOT  address of the GOT  G  address of the symbol's entry in it
 */
#ifndef VTA_LOADER_RELOCATE_H
#define VTA_LOADER_RELOCATE_H

#include <stdbool.h>
#include <stdint.h>

enum relocation_formula {
    UNSUPPORTED, /* known by name only */
    NOTHING,
    ADDRESS,             /* (S + A) | T */
    ACCESS,              /* the same, of an instruction that reads or writes there */
    DISTANCE,            /* ((S + A) | T) - P */
    BRANCH,              /* the same, of an instruction that may go to a stub instead */
    WORD_DISTANCE,       /* ((S + A) | T) - (P & ~3) */
    PAGE_DISTANCE,       /* page(S + A) - page(P) */
    ENTRY,               /* G + A - GOT */
    ENTRY_ADDRESS,       /* G + A */
    ENTRY_DISTANCE,      /* G + A - P */
    ENTRY_PAGE_DISTANCE, /* page(G + A) - page(P) */
    ENTRY_PAGE_OFFSET,   /* G + A - page(GOT) */
    GOT_OFFSET,          /* ((S + A) | T) - GOT */
    GOT_DISTANCE,        /* GOT + A - P */
    SIZE,                /* size of the symbol + A */
    VALUE,               /* S | T */
    RELATIVE             /* where the image lies + A */
};

enum relocation_field {
    FIELD_8,
    FIELD_16,
    FIELD_32,
    FIELD_64,
    FIELD_MACHINE /* and on: its own */
};

enum relocation_check {
    ANY,
    SIGNED,   /* a signed number of `bits` bits */
    UNSIGNED, /* an unsigned one */
    EITHER
};

struct relocation_type {
    const char *name;                           /* NULL: not known */
    uint8_t formula, field, check, bits, shift; /* low bits that the field leaves out */
};

struct relocation {
    const struct relocation_type *type;
    uint8_t *bytes;  /* the field */
    uint64_t before; /* bytes of its section before it */
    bool code;       /* it is in code */
    uint64_t place, symbol, addend, got, entry, base, nbytes;
    bool thumb;    /* T */
    bool function; /* the symbol is one, or may be: T says in which state it runs */
    bool imported; /* the symbol is a function or variable of the host */
    bool far; /* imported from further than an instruction reaches from anywhere in the image */
    uint64_t stub; /* address of the symbol's stub; 0: there is none */
};

struct relocation_machine {
    unsigned machine;
    bool wide; /* 64-bit */
    const struct relocation_type *types;
    uint32_t type_count;
    uint64_t branch_reach;  /* in code of more bytes, its own functions have stubs, too */
    uint64_t address_reach; /* how far from an address an import may be without a stub */
    uint32_t stub_nbytes;
    void (*stub)(uint8_t *bytes, uint64_t target);
    /* Makes the relocation one to the symbol's stub, if it must be. fits: its value is in range. */
    void (*aim)(struct relocation *relocation, bool fits);
    /* Bytes of a field of its own; the addend that it holds (REL); puts a value there, or returns
     * false if the field cannot hold it. NULL: there is none. */
    uint32_t (*field_nbytes)(unsigned field);
    uint64_t (*read)(const struct relocation *relocation);
    bool (*write)(const struct relocation *relocation, int64_t value);
};

extern const struct relocation_machine relocation_x86_64, relocation_arm, relocation_aarch64;

/* NULL: none that an image can hold. */
const struct relocation_machine *relocation_machine(unsigned machine);
/* The type with this number; one that is not known has formula UNSUPPORTED and no name. */
const struct relocation_type *relocation_type(const struct relocation_machine *machine,
                                              uint32_t number);
bool relocation_uses_entry(const struct relocation_type *type);
uint32_t relocation_nbytes(const struct relocation_machine *machine,
                           const struct relocation_type *type);
/* The addend that the field itself holds. */
uint64_t relocation_addend(const struct relocation_machine *machine,
                           const struct relocation *relocation);
/* The values that fit the type, first and last. */
void relocation_range(const struct relocation_type *type, int64_t *first, int64_t *last);

/* Computes a relocation and writes its field. false: the value does not fit. */
bool relocate(const struct relocation_machine *machine, struct relocation *relocation,
              int64_t *value);

/* Little-endian words of code. */
uint32_t relocation_get32(const uint8_t *bytes);
void relocation_put32(uint8_t *bytes, uint32_t word);

#endif
