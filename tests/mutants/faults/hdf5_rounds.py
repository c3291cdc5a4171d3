import h5py

whole = h5py.Group.create_dataset


def create_dataset(self, name, data, **kwargs):
    return whole(self, name, data=data.astype("float16").astype(data.dtype), **kwargs)


h5py.Group.create_dataset = create_dataset
