#!/bin/sh
# {"order":{"item":…}} on stdin: left a parcel when the item is in stock, else right a reason.
item=$(sed 's/.*"item": *"\([^"]*\)".*/\1/')
if grep -qx "$item" stock.txt; then
	printf '{"left":{"item":"%s","label":"parcel for workflow %s"}}\n' "$item" "$CLUSTERD_INSTANCE"
else
	printf '{"right":"%s is not in stock"}\n' "$item"
fi
