/* SPDX-License-Identifier: Apache-2.0
 *
 * Demangling: names that compilers made and what they mean, the examples of RFC 2603, and names that are no
 * names or would grow beyond all bounds.
 */
#include "profiler/demangle.h"
#include "test.h"

/* The readable name, or the same text when it is left alone. */
static const char *readable(const char *mangled, char text[static DEMANGLE_OUTPUT_BYTES_MAX])
{
	return demangle(mangled, text, DEMANGLE_OUTPUT_BYTES_MAX) ? text : mangled;
}

struct pair {
	const char *mangled, *readable;
};

static void are_readable(const struct pair *pairs, size_t count)
{
	char text[DEMANGLE_OUTPUT_BYTES_MAX];
	for (size_t i = 0; i < count; i++)
		EQ_TEXT(readable(pairs[i].mangled, text), pairs[i].readable);
}
#define ARE_READABLE(pairs) are_readable(pairs, sizeof(pairs) / sizeof *(pairs))

static void cplusplus(void)
{
	static const struct pair pairs[] = {
		{ "_Z1fv", "f()" },
		{ "_ZNSt6vectorIiSaIiEE9push_backERKi",
		  "std::vector<int, std::allocator<int> >::push_back(int const&)" },
		{ "_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()(int) const" },
		{ "_Z3foov.cold", "foo() [clone .cold]" },
		{ "_ZThn16_N1A1fEv", "non-virtual thunk to A::f()" },
		{ "_ZN5outer12_GLOBAL__N_13BoxIdE3getEv",
		  "outer::(anonymous namespace)::Box<double>::get()" },
		/* Packs are written for each reference; that is no reason to refuse it. */
		{ "_Z4callIJidEEvDpRKT_DpOT_",
		  "void call<int, double>(int const&, double const&, int&&, double&&)" },
	};
	ARE_READABLE(pairs);
}

static void rust_legacy(void)
{
	static const struct pair pairs[] = {
		{ "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt" },
		{ "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE.llvm.123456",
		  "core::fmt::Write::write_fmt" },
		{ "_ZN100_$LT$$RF$mut$u20$serde_json..ser..Serializer$LT$W$C$F$GT$$u20$as$u20$serde_core.."
		  "ser.."
		  "Serializer$GT$13serialize_str17h087dcf4bf24cafe9E",
		  "<&mut serde_json::ser::Serializer<W,F> as serde_core::ser::Serializer>::serialize_str" },
		{ "_ZN12test$BP$test4foob17h05af221e174051e9E", "test*test::foob" },
		{ "_ZN35Bar$LT$$u5b$u32$u3b$$u20$4$u5d$$GT$17h05af221e174051e9E", "Bar<[u32; 4]>" },
		{ "_ZN13test$u7e$test4foob17h05af221e174051e9E", "test~test::foob" },
		{ "_ZN3a$Z1b17h05af221e174051e9E", "a$Z::b" },		 /* no escape that is known */
		{ "_ZN1a17h05af221e174051eXE", "a::h05af221e174051eX" }, /* no hash: C++ */
		{ "_ZN9aa$ud800$4foob17h05af221e174051e9E", "_ZN9aa$ud800$4foob17h05af221e174051e9E" },
	};
	ARE_READABLE(pairs);
}

/* From rustc itself, and the examples of RFC 2603. */
static void rust_v0(void)
{
	static const struct pair pairs[] = {
		{ "_RNvCs1234_7mycrate3foo", "mycrate::foo" },
		{ "_RNvMs_Cs4fqI2P2rA04_11utf8_identsNtB4_3Foo3new", "<utf8_idents::Foo>::new" },
		{ "_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y",
		  "utf8_idents::\u10e1\u10d0\u10ed\u10db\u10d4\u10da\u10d0\u10d3_"
		  "\u10d2\u10d4\u10db\u10e0\u10d8"
		  "\u10d4\u10da\u10d8_\u10e1\u10d0\u10d3\u10d8\u10da\u10d8" },
		{ "_RINvNtCsbFYJioi4cCO_2rsu9gre_6ka8iu8lnge_loalEB4_",
		  "rs::gr\u00f6\u00dfe::l\u00e4nge::<i32>" },
		{ "_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_", "cc::spawn::{closure#0}::{closure#0}" },
		{ "_RINbNbCskIICzLVDPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_E"
		  "Cs1iopQbuBiw2_3std",
		  "alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>" },
		{ "_RNvYNtCsd4VYFwevHkG_8rustbook3FooNtNtCs1iopQbuBiw2_4core3fmt5Debug3fmt",
		  "<rustbook::Foo as core::fmt::Debug>::fmt" },
		{ "_RIC1aKc78_Kb1_Kan7_Kj7b_E", "a::<'x', true, -7, 123>" },
		{ "_RIC1aKo123456789abcdef0123456789abcdef0_E", "a::<0x123456789abcdef0123456789abcdef0>" },
		{ "_RNvXs0_NtNtCs37hIe2BRrty_18tracing_subscriber3fmt4timeFG0_QL1_INtNtB7_6format6WriterL0_"
		  "EEINtNtCs8NwYtU1Mohg_4core6result6ResultuNtNtB1u_3fmt5ErrorENtB5_10FormatTime11format_"
		  "time",
		  "<for<'a, 'b> fn(&'a mut tracing_subscriber::fmt::format::Writer<'b>) -> "
		  "core::result::Result<(), core::fmt::Error> as "
		  "tracing_subscriber::fmt::time::FormatTime>::format_time" },
		{ "_RNvMs3_NtCsbEht8wFNRx7_5alloc7raw_vecINtB5_6RawVecTOhFUKCBN_EuENtNtCsi4IsKQVxMg0_"
		  "3std5alloc6"
		  "SystemE8grow_oneB13_",
		  "<alloc::raw_vec::RawVec<(*mut u8, unsafe extern \"C\" fn(*mut u8)), "
		  "std::alloc::System>>::grow_one" },
		{ "_RNvXs0_NtCseQVuubCcFDg_12simd_adler324hashAhj0_NtB7_11Adler32Hash4hash",
		  "<[u8; 0] as simd_adler32::Adler32Hash>::hash" },
		{ "_RINvNtCs8NwYtU1Mohg_4core3ptr9drop_glueINtNtCsbEht8wFNRx7_5alloc5boxed3BoxDG0_INtNtNtB4_"
		  "3ops8"
		  "function2FnTRL1_INtNtCsi4IsKQVxMg0_3std5panic13PanicHookInfoL0_EEEp6OutputuNtNtB4_6marker4"
		  "SyncNtB2I_4SendEL_EEB1O_",
		  "core::ptr::drop_glue::<alloc::boxed::Box<dyn for<'a, 'b> core::ops::function::Fn<"
		  "(&'a std::panic::PanicHookInfo<'b>,), Output = ()> + core::marker::Sync + "
		  "core::marker::Send>>" },
		{ "_RNvXs_NtCsdlM2EbGYIhh_9rustc_hir10intravisitzNtB4_9HirTyCtxt8hir_body",
		  "<! as rustc_hir::intravisit::HirTyCtxt>::hir_body" },
		{ "_RNSNvYNCINvNtCsjrHSEGnQ3l9_3std2rt10lang_startuE0INtNtNtCsgEmfK2I1SDS_4core3ops8function6"
		  "FnOnceuE9call_once6vtableCsbFYJioi4cCO_2rs.llvm.3579765910770050128",
		  "<std::rt::lang_start<()>::{closure#0} as core::ops::function::FnOnce<()>>::call_once::"
		  "{shim:vtable#0}" },
	};
	ARE_READABLE(pairs);
}

static void left_alone(void)
{
	static const char *const texts[] = {
		"",
		"main",
		"_",
		"_Z",
		"_R",
		"_ZN",
		"_RNv",
		"_R0NvC1a",
		"_RNvC1a1",
		"_RNvC1aB5_",
		"_RNvC9aa1b",
		"_RNvC1a1bx",
		"_RIC1aKc110000_E",
		"i",
		"_RMC0FGL0_RL1_hRL0_tEu", /* a binder without a number */
		"_RIC1aRL9_hE",		  /* a lifetime that is not bound */
		"_RNqC1au3ABC",		  /* no Punycode */
	};
	char text[DEMANGLE_OUTPUT_BYTES_MAX];
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		EQ_TEXT(readable(texts[i], text), texts[i]);
}

static const char *base_62(size_t number, char text[static 8])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	if (number == 0)
		return "_";
	number--;
	char *at = text + 7;
	*at = 0;
	*--at = '_';
	do
		*--at = digits[number % 62];
	while ((number /= 62));
	return at;
}

/* Each parameter is a template of the one before, twice. */
static void write_classes(char *mangled, size_t bytes, int levels)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	int used = snprintf(mangled, bytes, "_Z1f1B1CIS_S_E");
	for (int i = 1; i < levels; i++)
		used += snprintf(mangled + used, bytes - (size_t)used, "S0_IS%c_S%c_E", digits[i], digits[i]);
}

/* Each tuple is four of the one before; references are positions behind "_R". */
static void write_tuples(char *mangled, size_t bytes, int levels)
{
	size_t used = (size_t)snprintf(mangled, bytes, "_RIC1aThhE"), before = 4;
	char text[8];
	for (int i = 1; i < levels; i++) {
		const char *at = base_62(before, text);
		before = used - 2;
		used += (size_t)snprintf(mangled + used, bytes - used, "TB%sB%sB%sB%sE", at, at, at, at);
	}
	snprintf(mangled + used, bytes - used, "E");
}

/* Each of these would be larger than memory, or take longer than anybody waits. Small ones are readable. */
static void bombs(void)
{
	char mangled[DEMANGLE_INPUT_BYTES_MAX * 2], text[DEMANGLE_OUTPUT_BYTES_MAX];
	write_classes(mangled, sizeof mangled, 3);
	EQ_TEXT(readable(mangled, text),
		"f(B, C<B, B>, C<C<B, B>, C<B, B> >, C<C<C<B, B>, C<B, B> >, C<C<B, B>, "
		"C<B, B> > >)");
	write_classes(mangled, sizeof mangled, 35);
	EQ_TEXT(readable(mangled, text), mangled);
	write_tuples(mangled, sizeof mangled, 2);
	EQ_TEXT(readable(mangled, text), "a::<(u8, u8), ((u8, u8), (u8, u8), (u8, u8), (u8, u8))>");
	write_tuples(mangled, sizeof mangled, 100);
	EQ_TEXT(readable(mangled, text), mangled);
	/* A pack in a pack in a pack. */
	static const char packs[] =
		"_Z1fIJiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiEEvDpDpDpDpDpDpDpDpDp1VIT_E";
	EQ_TEXT(readable(packs, text), packs);
	HAS_TEXT(readable("_Z1fIJiiEEvDpDp1VIT_E", text), "f<int, int>");
	/* Types in types. */
	memset(mangled, 'R', sizeof mangled);
	memcpy(mangled, "_RIC1a", 6);
	snprintf(mangled + 4000, 4, "hE");
	EQ_TEXT(readable(mangled, text), mangled);
	snprintf(mangled + 100, 4, "hE");
	HAS_TEXT(readable(mangled, text), "a::<&&&&");
	memset(mangled, 'P', sizeof mangled);
	memcpy(mangled, "_Z1f", 4);
	snprintf(mangled + DEMANGLE_INPUT_BYTES_MAX - 1, 2, "i");
	readable(mangled, text); /* whatever the library says, it comes back */
	memset(mangled + DEMANGLE_INPUT_BYTES_MAX - 1, 'P', 8);
	snprintf(mangled + DEMANGLE_INPUT_BYTES_MAX, 2, "i");
	EQ_TEXT(readable(mangled, text), mangled); /* longer than what is looked at */
}

static void room_for_the_answer(void)
{
	char text[32];
	for (size_t room = 0; room <= 12; room++) {
		memset(text, 'x', sizeof text);
		size_t bytes = demangle("_RNvC1a4main", text, room);
		EQ(bytes, room > 7 ? 7 : 0);
		EQ(text[room], 'x');
	}
	EQ_TEXT(text, "a::main");
}

TEST_MAIN(T(cplusplus), T(rust_legacy), T(rust_v0), T(left_alone), T(bombs), T(room_for_the_answer))
