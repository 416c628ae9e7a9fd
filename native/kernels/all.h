// Every kernel, in the order of use; included once by each targets/*.cpp inside the instruction set's
// namespace.
#include "chacha20.h"
#include "sampling.h"
#include "transform.h"
#include "encoding.h"
#include "rows.h"
#include "packing.h"
#include "encrypt.h"
#include "open.h"
#include "sum.h"
#include "table.h"
