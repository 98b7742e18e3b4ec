#include "lang/ast.h"

void syntax_finish(struct syntax *syntax)
{
	arena_finish(&syntax->arena);
	*syntax = (struct syntax){0};
}
