# mini/1.0-cpu@bench: what the steps need to know; sourced by each of them.
LABEL=mini/1.0-cpu@bench
PLAN_HASH=@PLAN_HASH@
PYTHON=3.11
PLATFORM_TAGS='manylinux_2_36_x86_64 manylinux_2_35_x86_64 manylinux_2_34_x86_64 manylinux_2_33_x86_64 manylinux_2_32_x86_64 manylinux_2_31_x86_64 manylinux_2_30_x86_64 manylinux_2_29_x86_64 manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_26_x86_64 manylinux_2_25_x86_64 manylinux_2_24_x86_64 manylinux_2_23_x86_64 manylinux_2_22_x86_64 manylinux_2_21_x86_64 manylinux_2_20_x86_64 manylinux_2_19_x86_64 manylinux_2_18_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64 manylinux_2_16_x86_64 manylinux_2_15_x86_64 manylinux_2_14_x86_64 manylinux_2_13_x86_64 manylinux_2_12_x86_64 manylinux2010_x86_64 manylinux_2_11_x86_64 manylinux_2_10_x86_64 manylinux_2_9_x86_64 manylinux_2_8_x86_64 manylinux_2_7_x86_64 manylinux_2_6_x86_64 manylinux_2_5_x86_64 manylinux1_x86_64'
BASE_SOURCE=bookworm
BASE_PACKAGES=libstdc++6,python3.11
BASE_DIGEST=1111111111111111
LAYERS='python numpy packages'
TOOLCHAIN_PACKAGES=libstdc++6,python3.11
TOOLCHAIN_DIGEST=''
SOURCE_LAYERS=numpy
MARCH=''
IMAGE_PREFIX=/opt/stackwright
IMAGE_TAG=localhost/stackwright/mini:@PLAN_16@
# The oldest time that a zip file, and so a wheel, can hold; every file and layer carries it.
SOURCE_DATE_EPOCH=315532800
export SOURCE_DATE_EPOCH
