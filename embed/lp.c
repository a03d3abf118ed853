/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gathers a linear program. */
#include "embed/lp.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void lp_done(struct lp *lp)
{
	free(lp->cols);
	free(lp->rows);
	free(lp->put_row);
	free(lp->put_col);
	free(lp->put_value);
	memset(lp, 0, sizeof(*lp));
}

void lp_point_done(struct lp_point *at)
{
	free(at->col_place);
	free(at->row_place);
	free(at->x);
	free(at->price);
	memset(at, 0, sizeof(*at));
}

int lp_add_col(struct lp *lp, double lower, double upper, double cost, bool integer)
{
	if (lp->n_cols == lp->cap_cols) {
		lp->cap_cols = lp->cap_cols ? 2 * lp->cap_cols : 256;
		lp->cols = mem_grow(lp->cols, lp->cap_cols, sizeof(*lp->cols));
	}
	lp->cols[lp->n_cols] = (struct lp_col){ lower, upper, cost, integer };
	return (int)lp->n_cols++;
}

int lp_add_row(struct lp *lp, double lower, double upper)
{
	if (lp->n_rows == lp->cap_rows) {
		lp->cap_rows = lp->cap_rows ? 2 * lp->cap_rows : 256;
		lp->rows = mem_grow(lp->rows, lp->cap_rows, sizeof(*lp->rows));
	}
	lp->rows[lp->n_rows] = (struct lp_row){ lower, upper };
	return (int)lp->n_rows++;
}

void lp_put(struct lp *lp, int row, int col, double value)
{
	if (value == 0)
		return;
	if (lp->n_puts == lp->cap_puts) {
		lp->cap_puts = lp->cap_puts ? 2 * lp->cap_puts : 1024;
		lp->put_row = mem_grow(lp->put_row, lp->cap_puts, sizeof(*lp->put_row));
		lp->put_col = mem_grow(lp->put_col, lp->cap_puts, sizeof(*lp->put_col));
		lp->put_value = mem_grow(lp->put_value, lp->cap_puts, sizeof(*lp->put_value));
	}
	lp->put_row[lp->n_puts] = row;
	lp->put_col[lp->n_puts] = col;
	lp->put_value[lp->n_puts++] = value;
}
