#!/bin/sh
# Books the parcel with the carrier, whose line is busy at the first attempt.
if [ "$CLUSTERD_ATTEMPT" -lt 2 ]; then
	echo "the carrier's line is busy" >&2
	exit 1
fi
sed 's/^{"parcel":\(.*\)}$/\1/'
